use super::*;
use crate::store::secrets::Put;

async fn put(store: &Store, path: &str) {
    let mut tx = store.begin().await.unwrap();
    let data = Secret::new(br#"{"token":"hidden"}"#.to_vec());
    let put = Put { mount: "secret", path, data: &data, cas: None, metadata: None, now: store.system().now() };
    tx.put_secret(&put).await.unwrap();
    tx.commit().await.unwrap();
}

fn connection() -> Connection {
    Connection {
        name: "shop".to_owned(),
        engine: "postgres".to_owned(),
        version: 0,
        url: "postgres://admin@db/shop".to_owned(),
        password: Some(Secret::from("hunter2")),
        settings: serde_json::Map::new(),
        allowed_roles: vec!["deploy".to_owned()],
        concurrency: 4,
        max_leases: 5_000,
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn two_first_starts_agree_on_one_deployment_and_key(pool: PgPool) {
    let (one, two) = tokio::join!(open(&pool), open(&pool));
    assert_eq!(one.deployment(), two.deployment());
    assert_eq!(count(&pool, "data_keys").await, 1);
    let tag = one.deployment_tag();
    assert!(tag.len() == 6 && tag.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)), "{tag}");
    put(&one, "a").await;
    assert_eq!(two.secrets().read("secret", "a", None).await.unwrap().version, 1);
    one.close().await;
    two.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn another_root_key_does_not_construct_a_store(pool: PgPool) {
    open(&pool).await.close().await;
    let options = Options { max_connections: 2, ..Options::default() };
    let error = open_with(&pool, root("ff00"), &options).await.unwrap_err();
    assert!(matches!(error, StoreError::Seal(_)));
    assert!(error.to_string().contains("TEST_ROOT_KEY"), "{error}");
    open(&pool).await.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn rotation_moves_every_record_while_serving(pool: PgPool) {
    let store = open(&pool).await;
    let other = open(&pool).await;
    for path in ["a", "b", "c"] {
        put(&store, path).await;
    }
    let _ = store.write(first(&store, [1; 32])).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.configure_connection(&connection(), store.system().now()).await.unwrap();
    tx.commit().await.unwrap();

    let record = |kind| {
        let store = store.clone();
        move |_| audit(&store, kind)
    };
    assert_eq!(store.rotate(record(Kind::KeyRotated)).await.unwrap(), Generation(2));
    assert_eq!(store.active_generation(), Generation(2));
    put(&store, "d").await;
    // The other replica has not heard of it: it still reads everything, and still seals under the old generation.
    assert_eq!(other.secrets().read("secret", "d", None).await.unwrap().version, 1);
    assert_eq!(other.active_generation(), Generation(2), "an unknown generation makes it look");
    assert!(store.retire(store.system().now(), record(Kind::KeyRetired)).await.unwrap().is_empty(), "something is left");

    assert_eq!(store.left_behind().await.unwrap(), 5);
    let mut moved = 0;
    loop {
        let left = store.rewrap(2).await.unwrap();
        moved += left.moved;
        if left.done {
            break;
        }
    }
    assert_eq!((moved, store.left_behind().await.unwrap()), (5, 0));
    assert_eq!(store.retire(store.system().now(), record(Kind::KeyRetired)).await.unwrap(), [Generation(1)]);
    for path in ["a", "b", "c", "d"] {
        assert_eq!(other.secrets().read("secret", path, None).await.unwrap().data.expose(), br#"{"token":"hidden"}"#);
    }
    store.load_connections().await.unwrap();
    assert_eq!(store.connections().get("shop").unwrap().password, Some(Secret::from("hunter2")));
    let now = store.system().now() + Duration::days(1);
    let claim = crate::store::leases::Claim { owner: Uuid::nil(), now, until: now, limit: 9, except: &[] };
    assert_eq!(store.claim_leases(&claim).await.unwrap()[0].handle.expose(), b"undo me");
    store.close().await;
    other.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn swapped_rows_do_not_open(pool: PgPool) {
    let store = open(&pool).await;
    put(&store, "a").await;
    put(&store, "a").await;
    put(&store, "b").await;
    let swap = async |sql: &'static str| sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    // An older version put in place of the current one.
    swap("update daypass.secret_versions set sealed = (select sealed from daypass.secret_versions where path = 'a' and version = 1) where path = 'a' and version = 2").await;
    assert!(store.secrets().read("secret", "a", None).await.is_err());
    assert!(store.secrets().read("secret", "a", Some(1)).await.is_ok());
    // Another path's row.
    swap("update daypass.secret_versions set sealed = (select sealed from daypass.secret_versions where path = 'a' and version = 1) where path = 'b'").await;
    assert!(store.secrets().read("secret", "b", None).await.is_err());
    // A row moved to another path as a whole.
    swap("insert into daypass.secrets select mount, 'c', current, metadata, created_at, updated_at from daypass.secrets where path = 'b';
          insert into daypass.secret_versions select mount, 'c', 1, sealed, generation, created_at, deleted_at, destroyed from daypass.secret_versions where path = 'a' and version = 1").await;
    assert!(store.secrets().read("secret", "c", None).await.is_err());
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn another_deployments_rows_do_not_open(pool: PgPool) {
    let store = open(&pool).await;
    put(&store, "a").await;
    store.close().await;
    sqlx::raw_sql("update daypass.deployment set id = gen_random_uuid()").execute(&pool).await.unwrap();
    let error = open_with(&pool, root("0a1b"), &Options { max_connections: 2, ..Options::default() }).await.unwrap_err();
    assert!(matches!(error, StoreError::Seal(_)), "{error}");
}

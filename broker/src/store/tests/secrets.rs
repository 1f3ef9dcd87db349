use std::collections::BTreeMap;

use super::*;
use crate::store::secrets::{MOST_BYTES, Put, SecretError};

async fn put(store: &Store, path: &str, text: &str, cas: Option<u32>) -> Result<u32, SecretError> {
    let data = Secret::new(text.as_bytes().to_vec());
    let mut tx = store.begin().await?;
    let put = Put { mount: "secret", path, data: &data, cas, metadata: None, now: store.system().now() };
    let version = tx.put_secret(&put).await?;
    tx.commit().await?;
    Ok(version)
}

async fn text(store: &Store, path: &str, version: Option<u32>) -> Result<String, SecretError> {
    let read = store.secrets().read("secret", path, version).await?;
    Ok(String::from_utf8(read.data.expose().clone()).unwrap())
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn versions_count_up_and_read_back(pool: PgPool) {
    let store = open(&pool).await;
    assert!(matches!(text(&store, "shop/registry", None).await, Err(SecretError::Unknown)));
    assert_eq!(put(&store, "shop/registry", r#"{"a":1}"#, None).await.unwrap(), 1);
    assert_eq!(put(&store, "shop/registry", r#"{"a":2}"#, None).await.unwrap(), 2);
    assert_eq!(text(&store, "shop/registry", None).await.unwrap(), r#"{"a":2}"#);
    assert_eq!(text(&store, "shop/registry", Some(1)).await.unwrap(), r#"{"a":1}"#);
    assert!(matches!(text(&store, "shop/registry", Some(3)).await, Err(SecretError::Unknown)));
    assert!(matches!(text(&store, "shop/registry", Some(u32::MAX)).await, Err(SecretError::Unknown)));
    let sealed: Vec<Vec<u8>> = sqlx::query_scalar("select sealed from daypass.secret_versions").fetch_all(&pool).await.unwrap();
    assert!(sealed.iter().all(|sealed| !sealed.windows(4).any(|part| part == br#"{"a""#)));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn many_who_ask_at_once_get_each_their_own(pool: PgPool) {
    let store = open(&pool).await;
    for n in 0..5 {
        put(&store, &format!("s/{n}"), &format!(r#"{{"n":{n}}}"#), None).await.unwrap();
        put(&store, &format!("s/{n}"), &format!(r#"{{"n":1{n}}}"#), None).await.unwrap();
    }
    let mut asking = tokio::task::JoinSet::new();
    for ask in 0..200u32 {
        let store = store.clone();
        asking.spawn(async move {
            let (n, version) = (ask % 6, (ask % 2 == 0).then_some(1));
            let read = text(&store, &format!("s/{n}"), version).await;
            match read {
                Ok(read) => assert_eq!(read, format!(r#"{{"n":{}{n}}}"#, if version.is_some() { "" } else { "1" })),
                Err(SecretError::Unknown) => assert_eq!(n, 5, "the others exist"),
                Err(error) => panic!("{error}"),
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    assert_eq!(put(&store, "s/0", r#"{"n":20}"#, None).await.unwrap(), 3);
    assert_eq!(text(&store, "s/0", None).await.unwrap(), r#"{"n":20}"#, "a read sees what was written before it");
    store.close().await;
    assert!(matches!(text(&store, "s/0", None).await, Err(SecretError::Store(_))), "and none is answered after the end");
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_write_against_another_version_is_a_conflict(pool: PgPool) {
    let store = open(&pool).await;
    assert!(matches!(put(&store, "a", "{}", Some(1)).await, Err(SecretError::Conflict { current: 0 })));
    assert_eq!(put(&store, "a", "{}", Some(0)).await.unwrap(), 1);
    assert!(matches!(put(&store, "a", "{}", Some(0)).await, Err(SecretError::Conflict { current: 1 })));
    let (one, two) = tokio::join!(put(&store, "a", "{}", Some(1)), put(&store, "a", "{}", Some(1)));
    assert_ne!(one.is_ok(), two.is_ok(), "of two writers one wins: {one:?} {two:?}");
    let (one, two) = tokio::join!(put(&store, "new", "{}", Some(0)), put(&store, "new", "{}", Some(0)));
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");
    let (one, two) = tokio::join!(put(&store, "any", "{}", None), put(&store, "any", "{}", None));
    assert_eq!(one.unwrap() + two.unwrap(), 1 + 2, "who expects no version follows whoever was first");
    for not_an_object in ["", "[]", "\"hidden\"", "{\"hidden\":}", "{} {}"] {
        let error = put(&store, "odd", not_an_object, None).await.unwrap_err();
        assert!(matches!(error, SecretError::NotAnObject(_)) && !error.to_string().contains("hidden"), "{error}");
    }
    assert!(matches!(put(&store, "big", &"x".repeat(MOST_BYTES + 1), None).await, Err(SecretError::TooLarge)));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn deleted_versions_come_back_by_rollback_and_destroyed_ones_never(pool: PgPool) {
    let store = open(&pool).await;
    put(&store, "a", r#"{"n":1}"#, None).await.unwrap();
    put(&store, "a", r#"{"n":2}"#, None).await.unwrap();
    let now = store.system().now();
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.delete_secret("secret", "a", &[], now).await.unwrap(), [2]);
    assert_eq!(tx.delete_secret("secret", "a", &[1], now).await.unwrap(), [1]);
    assert!(tx.delete_secret("secret", "a", &[1, 2], now).await.unwrap().is_empty(), "deleted already");
    tx.commit().await.unwrap();
    assert!(matches!(text(&store, "a", None).await, Err(SecretError::Deleted)));

    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.rollback_secret("secret", "a", 1, now).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(text(&store, "a", None).await.unwrap(), r#"{"n":1}"#);

    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.destroy_secret("secret", "a", &[1, 9], now).await.unwrap(), [1]);
    assert!(matches!(tx.rollback_secret("secret", "a", 1, now).await, Err(SecretError::Deleted)));
    assert!(matches!(tx.rollback_secret("secret", "a", 9, now).await, Err(SecretError::Unknown)));
    assert!(matches!(tx.rollback_secret("secret", "a", u32::MAX, now).await, Err(SecretError::Unknown)));
    assert!(matches!(tx.delete_secret("secret", "a", &[u32::MAX], now).await, Err(SecretError::Unknown)));
    tx.commit().await.unwrap();
    let history = store.secrets().history("secret", "a").await.unwrap();
    let states: Vec<_> = history.versions.iter().map(|held| (held.version, held.deleted_at.is_some(), held.destroyed)).collect();
    assert_eq!((history.current, states), (3, vec![(1, true, true), (2, true, false), (3, false, false)]));
    let left: i64 =
        sqlx::query_scalar("select count(*) from daypass.secret_versions where sealed is null").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 1);

    let mut tx = store.begin().await.unwrap();
    assert!(tx.remove_secret("secret", "a").await.unwrap() && !tx.remove_secret("secret", "a").await.unwrap());
    tx.commit().await.unwrap();
    assert!(matches!(store.secrets().history("secret", "a").await, Err(SecretError::Unknown)));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn lists_one_level_and_keeps_metadata(pool: PgPool) {
    let store = open(&pool).await;
    for path in ["shop/registry", "shop/ci/npm", "shop/ci/pypi", "shop", "shop%/x"] {
        put(&store, path, "{}", None).await.unwrap();
    }
    assert_eq!(store.secrets().list("secret", "").await.unwrap(), ["shop", "shop%/", "shop/"]);
    assert_eq!(store.secrets().list("secret", "shop/").await.unwrap(), ["ci/", "registry"]);
    assert_eq!(store.secrets().list("secret", "shop%/").await.unwrap(), ["x"]);
    assert!(store.secrets().list("other", "").await.unwrap().is_empty());

    let metadata = BTreeMap::from([("owner".to_owned(), "shop team".to_owned())]);
    let data = Secret::new(b"{}".to_vec());
    let mut tx = store.begin().await.unwrap();
    let put = Put { mount: "secret", path: "shop", data: &data, cas: None, metadata: Some(&metadata), now: store.system().now() };
    tx.put_secret(&put).await.unwrap();
    tx.put_secret(&Put { metadata: None, ..put }).await.unwrap();
    tx.commit().await.unwrap();
    let history = store.secrets().history("secret", "shop").await.unwrap();
    assert_eq!((history.metadata, history.current), (metadata, 3));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn many_reads_at_once_each_get_their_own(pool: PgPool) {
    let store = open(&pool).await;
    for number in 0..10 {
        put(&store, &format!("s{number}"), &format!(r#"{{"n":{number}}}"#), None).await.unwrap();
    }
    let tasks = (0..200).map(|task| {
        let store = store.clone();
        tokio::spawn(async move { text(&store, &format!("s{}", task % 12), None).await })
    });
    for (task, read) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        match read.await.unwrap() {
            Ok(text) => assert_eq!(text, format!(r#"{{"n":{}}}"#, task % 12)),
            Err(error) => assert!(task % 12 >= 10 && matches!(error, SecretError::Unknown), "{error}"),
        }
    }
    // A lost connection costs no read.
    sqlx::raw_sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(text(&store, "s1", None).await.unwrap(), r#"{"n":1}"#);
    store.close().await;
    assert!(matches!(text(&store, "s1", None).await, Err(SecretError::Store(StoreError::Stopped))));
}

use sqlx::{Connection as _, PgConnection};

use super::*;
use crate::store::leases::{Claim, Outcome};
use crate::store::migrate;

#[sqlx::test]
async fn an_empty_database_is_named_so(pool: PgPool) {
    let error = open_with(&pool, root("0a1b"), &Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the database has no Daypass schema; run: daypass-broker migrate");
}

#[sqlx::test]
async fn migrating_twice_changes_nothing(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    migrate::run(&mut connection, None).await.unwrap();
    // An owner who is called like the schema has it first in the path.
    sqlx::raw_sql("set search_path to daypass, public").execute(&mut *connection).await.unwrap();
    migrate::run(&mut connection, None).await.unwrap();
    assert_eq!(count(&pool, "deployment").await, 0, "migrating makes no key and no identity");
    drop(connection);
    open(&pool).await.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_migration_does_not_wait_for_ever_for_a_table_in_use(pool: PgPool) {
    sqlx::query("delete from _sqlx_migrations where version = 8").execute(&pool).await.unwrap();
    sqlx::raw_sql("alter table daypass.stops drop column swept_at").execute(&pool).await.unwrap();
    let mut using = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table daypass.leases in row exclusive mode").execute(&mut *using).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let waited = migrate::run(&mut connection, None).await.unwrap_err();
    assert!(matches!(waited, StoreError::MigrationLocked), "{waited}");
    using.rollback().await.unwrap();
    connection.close().await.unwrap();
    migrate::run(&mut pool.acquire().await.unwrap(), None).await.unwrap();
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_newer_schema_is_named_so(pool: PgPool) {
    sqlx::query("insert into _sqlx_migrations values (9999, 'later', now(), true, '', 0)").execute(&pool).await.unwrap();
    let error = open_with(&pool, root("0a1b"), &Options::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::SchemaNewer { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn an_unreachable_database_is_named_so() {
    let options =
        Options { url: "postgres://nobody:hidden@127.0.0.1:9/none".to_owned(), acquire_timeout_ms: 300, ..Options::default() };
    let error = Store::connect(&options, root("0a1b"), System::real().0).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hidden"));
    let unreadable = Options { url: "hidden@db".to_owned(), ..Options::default() };
    let error = Store::connect(&unreadable, root("0a1b"), System::real().0).await.unwrap_err();
    assert!(matches!(error, StoreError::Url(_)) && !error.to_string().contains("hidden"), "{error}");
    let no_file =
        Options { url: "postgres://a@b/c".to_owned(), password_file: Some("/nowhere/password".into()), ..Options::default() };
    let error = Store::connect(&no_file, root("0a1b"), System::real().0).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/password"), "{error}");
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn the_serving_role_can_serve_and_nothing_else(pool: PgPool) {
    let mut admin = pool.acquire().await.unwrap();
    // Roles belong to the whole server, so this one is named after the test's database.
    let database: String = sqlx::query_scalar("select current_database()::text").fetch_one(&mut *admin).await.unwrap();
    let role = format!("serving_{}", &database[database.len() - 20..]);
    let missing = migrate::run(&mut admin, Some(&role)).await.unwrap_err();
    assert!(matches!(missing, StoreError::NoSuchRole(_)), "{missing}");
    let sql = |text: String| sqlx::raw_sql(sqlx::AssertSqlSafe(text));
    sql(format!(r#"create role "{role}" login password 'test'"#)).execute(&mut *admin).await.unwrap();
    let target = (*pool.connect_options()).clone().username(&role).password("test");
    let options = Options { max_connections: 2, ..Options::default() };
    let early = Store::open(&options, vec![target.clone()], root("0a1b"), System::real().0).await.unwrap_err();
    assert!(matches!(early, StoreError::NotGranted { .. }), "{early}");
    migrate::run(&mut admin, Some(&role)).await.unwrap();

    // Everything that serving does works with these grants alone.
    let store = Store::open(&options, vec![target.clone()], root("0a1b"), System::real().0).await.unwrap();
    serve(&store).await;
    store.close().await;

    let mut serving = PgConnection::connect_with(&target).await.unwrap();
    for forbidden in [
        "update daypass.audit_records set kind = 'x'",
        "delete from daypass.audit_records",
        "truncate daypass.audit_records",
        "delete from daypass.audit_personal",
        "update daypass.audit_personal set named = '{}'",
        "update daypass.leases set session_id = id",
        "update daypass.sessions set opened_by = id",
        "update daypass.deployment set id = gen_random_uuid()",
        "delete from daypass.data_keys",
        "update daypass.data_keys set wrapped = ''",
        "update daypass.policy_sets set files = '[]'",
        "delete from daypass.policy_activations",
        "create table daypass.extra (id integer)",
        "drop table daypass.leases",
        "alter table daypass.audit_records add column extra text",
        "create schema extra",
        "delete from _sqlx_migrations",
    ] {
        let error = sqlx::raw_sql(forbidden).execute(&mut serving).await.unwrap_err();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error}");
    }
    serving.close().await.unwrap();
    sql(format!(r#"drop owned by "{role}"; drop role "{role}""#)).execute(&mut *admin).await.unwrap();
}

/// Touches every table as serving does.
async fn serve(store: &Store) {
    let now = store.system().now();
    let record = first(store, [1; 32]);
    let (lease, session) = (record.leases[0].clone(), record.session.as_ref().unwrap().id);
    let _ = store.write(record).await.unwrap();
    let _ = store.write(activation(store, &lease)).await.unwrap();
    let mut repeat = first(store, [1; 32]);
    repeat.token_use.as_mut().unwrap().replaces = Some(session);
    let _ = store.write(repeat).await.unwrap();
    store.end_session(session, now, &[audit(store, Kind::SessionEnded)]).await.unwrap().unwrap();
    let claim = Claim { owner: Uuid::nil(), now, until: now + Duration::minutes(1), limit: 5, except: &[] };
    let claimed = store.claim_leases(&claim).await.unwrap();
    assert!(store.settle_lease(&claimed[0], &Outcome::Revoked, now, &[audit(store, Kind::LeaseRevoked)]).await.unwrap());
    let mut tx = store.begin().await.unwrap();
    let data = Secret::new(b"{}".to_vec());
    let put = crate::store::secrets::Put { mount: "secret", path: "a", data: &data, cas: None, metadata: None, now };
    tx.put_secret(&put).await.unwrap();
    tx.rollback_secret("secret", "a", 1, now).await.unwrap();
    tx.delete_secret("secret", "a", &[1], now).await.unwrap();
    tx.destroy_secret("secret", "a", &[2], now).await.unwrap();
    tx.remove_secret("secret", "a").await.unwrap();
    let connection = others::connection();
    assert_eq!(tx.configure_connection(&connection, now).await.unwrap(), Some(1));
    assert_eq!(tx.put_connection(&connection, 1, now).await.unwrap(), Some(2));
    assert!(tx.delete_connection("shop").await.unwrap());
    tx.commit().await.unwrap();
    others::policy_bootstrap_keys_and_denials(store).await;
    job_ends::note_look_and_forget(store).await;
    store.rotate(|_| audit(store, Kind::KeyRotated)).await.unwrap();
    while !store.rewrap(10).await.unwrap().done {}
    store.retire(now, |_| audit(store, Kind::KeyRetired)).await.unwrap();
    compare_with_a_target(store).await;
    stop_sweep_and_lift(store).await;
    let far = now + Duration::days(400);
    store.forget_uses(far, 10).await.unwrap();
    store.forget_leases(far, 10).await.unwrap();
    store.forget_sessions(far, 10).await.unwrap();
}

/// What a kill does, and the sweeps after it.
async fn stop_sweep_and_lift(store: &Store) {
    let now = store.system().now();
    let stop = crate::store::stops::Stop {
        id: store.system().row_id().unwrap(),
        repository: None,
        run: None,
        role: Some("shop".to_owned()),
        issuer: None,
        engine: None,
        issued_before: None,
        reason: "a test".to_owned(),
        spared: None,
        switch: false,
        created_at: now,
    };
    assert!(store.stop(&stop, &audit(store, Kind::ExchangeStopped)).await.unwrap());
    let open = store.stopped_sessions(&stop, None, now, 5).await.unwrap();
    for session in &open {
        let mut tx = store.begin().await.unwrap();
        assert!(tx.stop_session(session.id, stop.id, now).await.unwrap().is_some());
        tx.commit().await.unwrap();
    }
    assert_eq!(store.unswept_stops().await.unwrap().len(), 1);
    store.stop_is_swept(stop.id, now).await.unwrap();
    assert!(store.unswept_stops().await.unwrap().is_empty() && store.stops().await.unwrap().len() == 1);
    assert!(store.lift_stop(stop.id, now, &audit(store, Kind::ExchangeAllowedAgain)).await.unwrap());
}

/// What the reconciler does.
async fn compare_with_a_target(store: &Store) {
    let now = store.system().now();
    let record = first(store, [2; 32]);
    let lease = record.leases[0].clone();
    let _ = store.write(record).await.unwrap();
    let _ = store.write(activation(store, &lease)).await.unwrap();
    assert!(store.claim_reconciliation("shop", now, now).await.unwrap());
    assert!(store.claim_reconciliation("shop", now, now + Duration::hours(1)).await.unwrap());
    assert_eq!(store.standing(&[lease.id]).await.unwrap()[0].state, State::Active);
    assert_eq!(store.compare("shop", &[], now + Duration::hours(1), 5).await.unwrap().lost.len(), 1);
    let stray = crate::store::strays::Stray {
        name: "dp_x".to_owned(),
        reason: "a test".to_owned(),
        first_seen: now,
        spared_until: None,
        quarantined_at: None,
    };
    store.note_strays("shop", &[stray.clone(), stray]).await.unwrap();
    let hold = crate::store::holds::Hold { since: now, reason: "a test".to_owned() };
    assert!(store.begin_hold(&hold, &audit(store, Kind::HoldBegan)).await.unwrap());
    assert!(!store.begin_hold(&hold, &audit(store, Kind::HoldBegan)).await.unwrap());
    let mut tx = store.begin().await.unwrap();
    tx.quarantine_stray("shop", "dp_x", now).await.unwrap();
    assert_eq!(tx.mark_lost(&[lease.id], "gone", now).await.unwrap(), [lease.id]);
    tx.commit().await.unwrap();
    let waiting = store.waiting(now + Duration::hours(1), now + Duration::minutes(1)).await.unwrap().remove(0);
    assert_eq!(
        (waiting.target.as_str(), waiting.due, waiting.overdue, waiting.fenced),
        ("shop", 2, 2, 0),
        "the repeat of before waits too"
    );
    let claim = Claim { owner: Uuid::nil(), now, until: now, limit: 5, except: &[] };
    assert!(store.claim_leases(&claim).await.unwrap().is_empty(), "on hold");
    let mut tx = store.begin().await.unwrap();
    assert!(tx.lift_hold().await.unwrap().is_some());
    tx.forget_stray("shop", "dp_x").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.forget_strays("shop", &[]).await.unwrap(), 0);
    assert_eq!(store.claim_leases(&claim).await.unwrap().len(), 1);
    assert!(store.memory(None).await.unwrap().stands && !store.memory(Some(Uuid::nil())).await.unwrap().stands);
}

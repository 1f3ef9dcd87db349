//! From the first login to the last.

use super::*;

#[tokio::test]
async fn a_leased_login_works_and_ends() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();

    let mut session = shop.log_in(&login).await.unwrap();
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {}.orders", shop.database)))
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(count, 1);
    let (user, password) = (login.value("username"), login.value("password"));
    assert_eq!(login.value("host"), "127.0.0.1");
    assert_eq!(login.value("port"), shop.port.to_string());
    assert_eq!(login.value("database"), shop.database);
    assert_eq!(login.value("ssl_mode"), "PREFERRED");
    assert_eq!(
        login.value("url"),
        format!("mysql://{user}:{password}@127.0.0.1:{}/{}?ssl-mode=PREFERRED", shop.port, shop.database)
    );
    assert!(!format!("{:?}", login.issued).contains(password));

    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "the open session must be ended");
    assert!(shop.log_in(&login).await.is_err());
    assert_eq!(shop.left(&login.plan).await, (0, 0));
}

#[tokio::test]
async fn the_account_is_bounded() {
    let Some(shop) = Shop::open().await else { return };
    shop.configure(&json!({"connection_limit": 2}));
    let login = shop.issue().await.unwrap();
    let _first = shop.log_in(&login).await.unwrap();
    let _second = shop.log_in(&login).await.unwrap();
    let third = shop.log_in(&login).await.unwrap_err().to_string();
    assert!(third.contains("max_user_connections"), "{third}");

    let mut root = shop.root().await;
    let (lifetime, privileged): (String, i64) = sqlx::query_as(
        "select json_extract(priv, '$.password_lifetime'), cast(json_value(priv, '$.access') as signed) from mysql.global_priv where user = ?",
    )
    .bind(login.value("username"))
    .fetch_one(&mut root)
    .await
    .unwrap();
    assert_eq!((lifetime.as_str(), privileged), ("2", 0));
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
}

#[tokio::test]
async fn rights_come_and_go_by_the_statements_of_the_set() {
    let Some(shop) = Shop::open().await else { return };
    let grant = format!("on {}.orders", shop.database);
    shop.configure(&json!({"statements": {"rw": {
        "create": [format!("grant select {grant} to {{{{name}}}} -- reads"), format!("grant insert {grant} to {{{{name}}}};")],
        "revoke": [format!("revoke insert {grant} from {{{{name}}}}")],
    }}}));
    let login = shop.issue().await.unwrap();
    run(&mut shop.log_in(&login).await.unwrap(), &format!("insert into {}.orders values (2)", shop.database)).await;
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    let grants: i64 = sqlx::query_scalar("select count(*) from mysql.tables_priv where user = ?")
        .bind(login.value("username"))
        .fetch_one(&mut shop.root().await)
        .await
        .unwrap();
    assert_eq!(grants, 0);
}

#[tokio::test]
async fn already_gone_is_success() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    // The name is held until the deadline is over, then let go; both ways nobody is in.
    assert!(matches!(shop.revoke(&login.plan).await.unwrap(), Revoked::Held(_)));
    assert!(shop.log_in(&login).await.is_err());

    let mut ask = shop.ask();
    ask.create_deadline = shop.bench.system.now() - Duration::from_mins(1);
    let never_made = shop.engine.plan(&shop.bench, &ask).await.unwrap();
    assert_eq!(shop.revoke(&never_made).await.unwrap(), Revoked::Gone);
    assert_eq!(shop.left(&never_made).await, (0, 0));
    assert_eq!(shop.revoke(&never_made).await.unwrap(), Revoked::Gone);
}

#[tokio::test]
async fn is_fenced_while_its_set_cannot_be_revoked() {
    let Some(shop) = Shop::open().await else { return };
    let set = |revoke: Value| {
        let create = format!("grant select on {}.* to {{{{name}}}}", shop.database);
        json!({"statements": {"rw": {"create": [create], "revoke": revoke}}})
    };
    shop.configure(&set(json!(["revoke nobody_knows from {{name}}"])));
    let login = shop.issue().await.unwrap();
    let mut session = shop.log_in(&login).await.unwrap();

    let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
    assert!(reason.contains("nobody_knows"), "{reason}");
    assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "the session is over all the same");
    assert!(shop.log_in(&login).await.is_err(), "the login is dead all the same");
    assert_eq!(shop.left(&login.plan).await, (1, 0));

    shop.configure(&set(json!([])));
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
}

#[tokio::test]
async fn two_workers_at_once_do_no_harm() {
    let Some(shop) = Shop::open().await else { return };
    for _ in 0..5 {
        let login = shop.issue().await.unwrap();
        let _session = shop.log_in(&login).await.unwrap();
        let (one, other) = tokio::join!(shop.revoke(&login.plan), shop.revoke(&login.plan));
        assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
        assert!(shop.log_in(&login).await.is_err());
        assert_eq!(shop.left(&login.plan).await.1, 0);
    }
}

/// What a crash between two statements of a create leaves is a locked account, which its handle is enough to remove.
#[tokio::test]
async fn what_a_crash_left_half_made_is_locked_and_can_be_undone() {
    let Some(shop) = Shop::open().await else { return };
    shop.configure(&json!({"statements": {"rw": {"create": ["grant select on no_such_base.* to {{name}}"]}}}));
    let ask = shop.ask();
    let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
    let refused = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
    assert!(matches!(&refused, EngineError::TargetRefused(text) if text.contains("no_such_base")), "{refused}");
    let locked: bool = sqlx::query_scalar("select json_extract(priv, '$.account_locked') from mysql.global_priv where user = ?")
        .bind(plan.upstream.as_deref())
        .fetch_one(&mut shop.root().await)
        .await
        .map(|locked: String| locked == "true")
        .unwrap();
    assert!(locked);
    assert_eq!(shop.revoke(&plan).await.unwrap(), Revoked::Gone);
    assert_eq!(shop.left(&plan).await, (0, 0));
}

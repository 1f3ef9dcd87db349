//! The log takes no record: nothing is handed out, and the token is as good as before when it takes records again.

use sqlx::AssertSqlSafe;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    /// Before the exchange.
    AtOnce,
    /// Between its first commit and its second.
    Meanwhile,
}

pub(super) async fn row(ground: &Ground, when: When) {
    let settings = if when == When::Meanwhile { Mode::Delay.at("exchange::after_create", 6_000) } else { Settings::default() };
    let mut replica = start(ground, &settings).await;
    let (door, token) = (replica.native.clone(), token());
    let sent = token.clone();
    let ask = async move { door.exchange(&sent, database("1m")).await.unwrap() };
    let answer = match when {
        When::AtOnce => {
            log(ground, "revoke", "from").await;
            ask.await
        }
        When::Meanwhile => {
            let asking = tokio::spawn(ask);
            while no_login_without_a_lease(ground).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            log(ground, "revoke", "from").await;
            asking.await.unwrap()
        }
    };
    assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "unavailable"), "{when:?}: {answer:?}");
    assert!(!answer.body.contains("audit") && !answer.body.contains("permission"), "the reason is for the operators: {answer:?}");
    replica.says("permission denied for table audit_records").await.unwrap();
    let made = ground.databases.count("leases").await.unwrap();
    assert_eq!(made, i64::from(when == When::Meanwhile));
    assert_eq!(ground.databases.count("sessions").await.unwrap(), made, "{when:?}: nothing without its record");
    assert_eq!(ground.databases.count("token_uses").await.unwrap(), made);
    assert_eq!(ground.databases.count("leases where state in ('active', 'passive', 'revoked')").await.unwrap(), 0);
    // What is taken back cannot be recorded either, so it stays open, however dead its login is.
    for _ in 0..20 {
        no_login_without_a_lease(ground).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ground.databases.count("leases where due_at is not null").await.unwrap(), made);

    log(ground, "grant", "to").await;
    make_due(ground).await;
    swept(ground, "log").await;
    if let Some(lease) = leases(ground).await.first() {
        assert_eq!(story(ground, *lease).await, ["exchange.asked", "lease.revoked"]);
    }
    let again = replica.native.exchange(&token, database("1m")).await.unwrap().granted().unwrap();
    assert!(ground.login(&again.credentials["database"].values).await.is_ok(), "{when:?}: the use is free again");
}

/// Gives the serving role the right to add to the log, or takes it away.
async fn log(ground: &Ground, verb: &str, word: &str) {
    let statement = format!("{verb} insert on daypass.audit_records {word} {}", ground.databases.serving_role());
    let mut records = ground.databases.records().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut records).await.unwrap();
}

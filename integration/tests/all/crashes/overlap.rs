//! The target is still making the login when the sweep comes: the name is the fence. The sweep waits for whoever holds it, and what
//! lands afterwards it takes back.

use super::*;

/// What becomes of the create after all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    Lands,
    /// Its deadline ends it.
    IsRolledBack,
}

pub(super) async fn row(ground: &Ground, then: Then) {
    let settings = Settings::default();
    let file = ground.configure(&settings).unwrap();
    // Within the limit of one statement, and longer than the create deadline only where it is to be.
    let naps = if then == Then::Lands { 2 } else { 3 };
    let slow = format!("create = [{}", "\"select pg_sleep(4)\", ".repeat(naps));
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("create = [", &slow)).unwrap();
    let mut replica = Replica::spawn(&file, &settings).unwrap();
    replica.ready().await.unwrap();

    let (door, token) = (replica.native.clone(), token());
    let sent = token.clone();
    let asking = tokio::spawn(async move { door.exchange(&sent, database("1m")).await });
    busy(ground, "state = 'active' and query like '%pg_sleep(4)%'", &replica).await;
    assert_eq!(ground.databases.logins().await.unwrap().len(), 0, "nobody sees it yet");
    make_due(ground).await;
    busy(ground, "wait_event_type = 'Lock' and query like '%nologin%'", &replica).await;

    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.status, 503, "{then:?}: {answer:?}");
    assert!(answer.problem().is_ok() && !answer.body.contains("password"), "{answer:?}");
    assert_eq!(ground.databases.count("leases where state in ('active', 'passive')").await.unwrap(), 0);
    swept(ground, "overlap").await;
    let all = leases(ground).await;
    assert_eq!(story(ground, all[0]).await, ["exchange.asked", "lease.revoked"], "{then:?}");
    drop(replica);

    let replica = start(ground, &Settings::default()).await;
    let again = replica.native.exchange(&token, database("4s")).await.unwrap();
    assert_eq!(again.status, 200, "the use is free again: {again:?}");
}

/// Waits until one session of the target's administrator is so.
async fn busy(ground: &Ground, how: &str, replica: &Replica) {
    let until = Instant::now() + PATIENCE;
    let mut home = ground.databases.connect("postgres").await.unwrap();
    let count = format!("select count(*) from pg_stat_activity where usename = '{}' and {how}", ground.databases.admin());
    while sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count.clone())).fetch_one(&mut home).await.unwrap() == 0 {
        assert!(Instant::now() < until, "never {how}: {}", replica.output());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

//! The database's clock is an hour ahead or behind: no login ends early, none lasts longer than its target lets it, and no token is good
//! twice or beyond its end.
//!
//! The broker asks the database for its time in one place. Here the serving role finds another `clock_timestamp()` than everybody else.

use broker::system::FollowingClock;
use sqlx::AssertSqlSafe;

use super::*;

async fn tamper(ground: &Ground) {
    let (role, database) = (ground.databases.serving_role(), ground.databases.broker());
    let script = format!(
        "create schema tampered; create table tampered.clock (ahead interval not null);
         insert into tampered.clock values ('0');
         create function tampered.clock_timestamp() returns timestamptz language sql volatile
             as 'select pg_catalog.clock_timestamp() + ahead from tampered.clock';
         grant usage on schema tampered to {role}; grant select on tampered.clock to {role};
         alter role {role} in database {database} set search_path = tampered, pg_catalog, public"
    );
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut ground.databases.records().await.unwrap()).await.unwrap();
}

async fn set(ground: &Ground, ahead: &str) {
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query("update tampered.clock set ahead = $1::text::interval").bind(ahead).execute(&mut records).await.unwrap();
}

/// Waits until it has looked at the clock again, and rung or gone back to work.
async fn noticed(replica: &Replica, alarms: u32, ready: u16) {
    let until = Instant::now() + PATIENCE;
    let alarm = format!("daypass_alarms_total{{kind=\"clock_leap\"}} {alarms}");
    loop {
        let told = replica.metrics.ask("GET", "/metrics", None, None).await.unwrap().body;
        let door = replica.native.ask("GET", "/readyz", None, None).await.unwrap();
        let rung = if alarms == 0 { !told.contains("clock_leap") } else { told.contains(&alarm) };
        if rung && door.status == ready {
            return;
        }
        assert!(Instant::now() < until, "{alarms} alarm(s), then {ready}: {door:?} {}", replica.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn refused(replica: &Replica, token: &str, code: &str) {
    let answer = replica.native.exchange(token, database("4s")).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (401, code), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_leaps_ahead_ends_no_login_and_lets_no_token_in_twice() {
    let ground = Ground::new().await.unwrap();
    tamper(&ground).await;
    let replica = start(&ground, &Settings::default()).await;
    noticed(&replica, 0, 200).await;
    let spent = token();
    let granted = replica.native.exchange(&spent, database("10m")).await.unwrap().granted().unwrap();
    let login = &granted.credentials["database"].values;

    set(&ground, "1 hour").await;
    noticed(&replica, 1, 503).await;
    refused(&replica, &token(), "token_expired").await;
    refused(&replica, &spent, "token_expired").await;
    // One that starts now has never seen another time. It sweeps at once, and forgets no use all the same.
    let fresh = ground.start().await.unwrap();
    noticed(&fresh, 1, 503).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ground.login(login).await.is_ok(), "by everybody else's clock it has nine minutes left");
    assert_eq!(ground.databases.count("token_uses").await.unwrap(), 1, "the token could still be spent");
    drop(fresh);

    set(&ground, "0").await;
    noticed(&replica, 2, 200).await;
    refused(&replica, &spent, "token_already_used").await;
    assert_eq!(replica.native.exchange(&token(), database("4s")).await.unwrap().status, 200);
    assert!(ground.login(login).await.is_ok());
    assert_eq!(
        ground.databases.count("leases where state = 'active' and expires_at > issued_at + interval '9 min'").await.unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_goes_back_leaves_the_end_to_the_target_and_wakes_no_dead_token() {
    let ground = Ground::new().await.unwrap();
    tamper(&ground).await;
    let replica = start(&ground, &Settings::default()).await;
    let granted = replica.native.exchange(&token(), database("15s")).await.unwrap().granted().unwrap();
    let login = &granted.credentials["database"].values;
    set(&ground, "-1 hour").await;
    noticed(&replica, 1, 503).await;
    refused(&replica, &token(), "token_not_yet_valid").await;
    // By the database's clock it was just made; by every other its time is over, and its use may be forgotten.
    let issued = FollowingClock::machine().unix_timestamp() - 3_600;
    let mut claims = deploy_claims();
    claims["iat"] = json!(issued);
    refused(&replica, &Ci::shared().unwrap().github(&claims).unwrap(), "token_expired").await;

    // Asked of the target itself: a cluster of tests may let everybody in without looking at passwords and their ends.
    let over = "select coalesce(rolvaliduntil <= pg_catalog.clock_timestamp(), false) from pg_roles where rolname = $1";
    let mut home = ground.databases.connect("postgres").await.unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    while !sqlx::query_scalar::<_, bool>(over).bind(&login["username"]).fetch_one(&mut home).await.unwrap() {
        assert!(Instant::now() < until, "the target lets it in for ever");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1, "taken back late");
    assert_eq!(ground.databases.count("leases where state = 'active'").await.unwrap(), 1);
    set(&ground, "0").await;
    noticed(&replica, 2, 200).await;
    make_due(&ground).await;
    swept(&ground, "a clock that went back").await;
}

//! The broker dies, or fails, at each step of an exchange and of taking back: a login never exists without its lease,
//! none is alive after the sweep, and a token from which nothing came can be exchanged again.

use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::replica::PATIENCE;
use serde_json::{Value, json};

/// The steps of an exchange, with what a death at each leaves behind.
const EXCHANGE: [(&str, Left); 5] = [
    ("exchange::before_record", Left::Nothing),
    ("exchange::after_record", Left::Pending),
    ("exchange::before_create", Left::Pending),
    ("exchange::after_create", Left::Pending),
    ("exchange::after_activate", Left::Granted),
];
const WORKER: [&str; 2] = ["worker::before_revoke", "worker::before_settle"];

#[derive(Clone, Copy, PartialEq)]
enum Left {
    Nothing,
    Pending,
    /// It counts as handed out; the lease ends at its own time.
    Granted,
}

fn database(ttl: &str) -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": ttl})
}

fn failing(point: &str, action: &str) -> Settings {
    Settings { failpoints: format!("{point}={action}"), ..Settings::default() }
}

/// Every login has an open lease. The logins are read before the leases, so that one that is taken back between is no fault.
async fn no_login_without_a_lease(ground: &Ground) -> usize {
    let logins = ground.databases.logins().await.unwrap();
    let mut records = ground.databases.records().await.unwrap();
    let leases: Vec<String> = sqlx::query_scalar("select upstream from daypass.leases where upstream is not null")
        .fetch_all(&mut records)
        .await
        .unwrap();
    for login in &logins {
        assert!(leases.contains(login), "{login} has no lease");
    }
    logins.len()
}

/// Watches until nothing is left at the target and every lease has ended.
async fn swept(ground: &Ground, what: &str) {
    let until = Instant::now() + 2 * PATIENCE + Duration::from_mins(1);
    loop {
        let logins = no_login_without_a_lease(ground).await;
        let open = ground.databases.count("leases where due_at is not null").await.unwrap();
        if logins == 0 && open == 0 {
            return;
        }
        assert!(Instant::now() < until, "{what}: {logins} login(s), {open} open lease(s) after the sweep's time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the log says of the exchange, without refusals. A name that is held against late creation is told once.
async fn kinds(ground: &Ground) -> Vec<String> {
    let mut kinds = ground.databases.kinds().await.unwrap();
    kinds.retain(|kind| (kind.starts_with("exchange") && kind != "exchange.denied") || kind.starts_with("lease"));
    let fenced = kinds.iter().filter(|kind| *kind == "lease.fenced").count();
    assert!(fenced <= 1, "told again and again: {kinds:?}");
    kinds.retain(|kind| kind != "lease.fenced");
    kinds
}

/// Runs cases at the same time, each on a thread of its own.
fn at_once(cases: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = cases.into_iter().map(std::thread::spawn).collect();
    let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
    assert_eq!(failed, 0, "cases failed; see above");
}

fn alone(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case);
}

#[test]
fn killed_at_any_step_it_leaves_no_login_that_outlives_the_sweep() {
    let mut cases: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for (point, left) in EXCHANGE {
        cases.push(Box::new(move || alone(killed_in_an_exchange(point, left))));
    }
    for point in WORKER {
        cases.push(Box::new(move || alone(killed_while_taking_back(point))));
    }
    at_once(cases);
}

async fn killed_in_an_exchange(point: &'static str, left: Left) {
    let ground = Ground::new().await.unwrap();
    let mut first = ground.start_with(&failing(point, "hang")).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let (door, sent) = (first.native.clone(), token.clone());
    let asking = tokio::spawn(async move { door.exchange(&sent, database("4s")).await });
    first.says(&format!("failpoint reached: {point}")).await.unwrap();
    no_login_without_a_lease(&ground).await;
    first.kill().unwrap();
    assert!(asking.await.unwrap().is_err(), "{point}: nobody was answered");
    no_login_without_a_lease(&ground).await;

    let second = ground.start().await.unwrap();
    if left == Left::Pending {
        let early = second.native.exchange(&token, database("4s")).await.unwrap();
        assert_eq!(early.code(), "token_already_used", "{point}: what was made may still be alive");
    }
    swept(&ground, point).await;
    let kinds = kinds(&ground).await;
    let told: &[&str] = match left {
        Left::Nothing => &[],
        Left::Pending => &["exchange.asked", "lease.revoked"],
        Left::Granted => &["exchange.asked", "exchange.granted", "lease.revoked"],
    };
    assert_eq!(kinds, told, "{point}");
    let again = second.native.exchange(&token, database("1m")).await.unwrap();
    if left == Left::Granted {
        assert_eq!(again.code(), "token_already_used", "{point}");
    } else {
        let granted = again.granted().unwrap_or_else(|error| panic!("{point}: the use is free again: {error}"));
        assert!(ground.login(&granted.credentials["database"].values).await.is_ok());
    }
}

async fn killed_while_taking_back(point: &'static str) {
    let ground = Ground::new().await.unwrap();
    let mut first = ground.start_with(&failing(point, "hang")).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let granted = first.native.exchange(&token, database("2s")).await.unwrap().granted().unwrap();
    first.says(&format!("failpoint reached: {point}")).await.unwrap();
    first.kill().unwrap();
    no_login_without_a_lease(&ground).await;
    // The claim of the dead worker ends in a minute; the test does not wait for that.
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query("update daypass.leases set due_at = issued_at where claimed_by is not null").execute(&mut records).await.unwrap();

    let _second = ground.start().await.unwrap();
    swept(&ground, point).await;
    assert!(ground.login(&granted.credentials["database"].values).await.is_err());
    assert_eq!(kinds(&ground).await, ["exchange.asked", "exchange.granted", "lease.revoked"], "{point}: told once");
}

#[test]
fn failing_at_any_step_it_hands_out_nothing_and_leaves_nothing() {
    let mut cases: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for (point, left) in EXCHANGE {
        cases.push(Box::new(move || alone(fails_in_an_exchange(point, left))));
    }
    for point in WORKER {
        cases.push(Box::new(move || alone(fails_while_taking_back(point))));
    }
    at_once(cases);
}

async fn fails_in_an_exchange(point: &'static str, left: Left) {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start_with(&failing(point, "error")).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let answer = replica.native.exchange(&token, database("4s")).await.unwrap();
    assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "unavailable"), "{point}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok());
    assert!(!answer.body.contains("failpoint"), "the reason is for the operators: {answer:?}");
    swept(&ground, point).await;
    drop(replica);
    let second = ground.start().await.unwrap();
    let again = second.native.exchange(&token, database("1m")).await.unwrap();
    let expected = if left == Left::Granted { 401 } else { 200 };
    assert_eq!(again.status, expected, "{point}: {again:?}");
}

async fn fails_while_taking_back(point: &'static str) {
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start_with(&failing(point, "error")).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    replica.native.exchange(&token, database("1s")).await.unwrap().granted().unwrap();
    let told = if point == "worker::before_revoke" { "tried again" } else { "could not be written" };
    replica.says(told).await.unwrap();
    no_login_without_a_lease(&ground).await;
    drop(replica);
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query("update daypass.leases set due_at = issued_at where due_at is not null").execute(&mut records).await.unwrap();
    let _second = ground.start().await.unwrap();
    swept(&ground, point).await;
}

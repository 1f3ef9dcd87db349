//! Leases beside what the target really has, and a database that comes back from a backup.

use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::replica::{PATIENCE, Replica};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < limit, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn settings() -> Settings {
    Settings { more: "[reconcile]\ngrace = \"0s\"\n".to_owned(), ..Settings::default() }
}

async fn reconcile(ground: &Ground, replica: &Replica, body: Value) -> Value {
    let session = ground.operator(replica).await.unwrap();
    let answer = replica.operator.post("/api/v1/reconcile", &session, &body).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn root(ground: &Ground, script: String) {
    let mut root = ground.databases.connect("postgres").await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut root).await.unwrap();
}

fn database() -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_between_leases_and_target_is_told_and_set_right() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start_with(&settings()).await.unwrap();
    let ci = Ci::shared().unwrap();
    let mut names = Vec::new();
    for _ in 0..2 {
        let token = ci.github(&deploy_claims()).unwrap();
        let granted = replica.native.exchange(&token, database()).await.unwrap().granted().unwrap();
        names.push(granted.credentials["database"].values["username"].clone());
    }
    // One login is dropped behind our back, and one is made.
    let prefix = names[0].get(..10).unwrap();
    root(&ground, format!("drop owned by {0}; drop role {0}; create role {prefix}by_hand login", names[0])).await;
    let mut shop = ground.databases.connect(&ground.databases.shop()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("drop owned by {}", names[0]))).execute(&mut shop).await.ok();
    let mut records = ground.databases.records().await.unwrap();
    sqlx::query("update daypass.leases set issued_at = issued_at - interval '1 minute'").execute(&mut records).await.unwrap();

    let looked = reconcile(&ground, &replica, json!({"dry_run": true, "connection": "shop"})).await;
    let target = &looked["targets"][0];
    assert_eq!((target["logins"].as_u64(), target["lost"][0]["name"].as_str()), (Some(2), Some(names[0].as_str())), "{looked}");
    // A worker's own look may have come first.
    assert!(["seen", "quarantined"].contains(&target["strays"][0]["step"].as_str().unwrap()), "{looked}");
    reconcile(&ground, &replica, json!({})).await;
    reconcile(&ground, &replica, json!({})).await;
    assert_eq!(ground.databases.logins().await.unwrap(), [names[1].clone()], "the one with a lease, and it alone");
    until("the lost lease is settled", async || {
        ground.databases.count("leases where state = 'revoked' and reason is null").await.unwrap() == 1
    })
    .await;
    assert_eq!(ground.databases.count("leases where state = 'active'").await.unwrap(), 1);
    let kinds = ground.databases.kinds().await.unwrap();
    for kind in ["stray.quarantined", "stray.dropped", "lease.lost", "lease.revoked", "leases.reconciled"] {
        assert!(kinds.iter().any(|told| told == kind), "{kind}: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_from_a_backup_ends_no_login_until_an_operator_resumes() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start_with(&settings()).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let granted = replica.native.exchange(&token, database()).await.unwrap().granted().unwrap();
    let credential = &granted.credentials["database"];
    drop(replica);

    // As the backup had it: before that exchange.
    let mut records = ground.databases.records().await.unwrap();
    let forget = "delete from daypass.leases; delete from daypass.token_uses; delete from daypass.sessions; \
                  delete from daypass.audit_records where kind <> 'broker.started'";
    sqlx::raw_sql(forget).execute(&mut records).await.unwrap();
    let replica = ground.start_with(&settings()).await.unwrap();
    until("it is on hold", async || ground.databases.count("holds").await.unwrap() == 1).await;
    let front = ground.start_with(&Settings { run: "front", ..settings() }).await.unwrap();
    for process in [&replica, &front] {
        until("it says so", async || {
            let ready = process.metrics.ask("GET", "/readyz", None, None).await.unwrap();
            let told = process.metrics.ask("GET", "/metrics", None, None).await.unwrap();
            ready.status == 200 && ready.body.contains("on hold") && told.body.contains("daypass_on_hold 1")
        })
        .await;
    }
    let told = reconcile(&ground, &replica, json!({})).await;
    assert!(told["hold"]["reason"].as_str().unwrap().contains("brought back"), "{told}");
    assert!(ground.login(&credential.values).await.is_ok(), "whoever holds it goes on");

    let session = ground.operator(&replica).await.unwrap();
    let resumed = replica.operator.post("/api/v1/resume", &session, &json!({})).await.unwrap();
    assert_eq!((resumed.status, resumed.json()["hold"].is_object()), (200, true), "{resumed:?}");
    let told = reconcile(&ground, &replica, json!({})).await;
    assert_eq!((told["hold"].is_null(), &told["targets"][0]["strays"][0]["step"]), (true, &json!("spared")), "{told}");
    assert!(ground.login(&credential.values).await.is_ok(), "until its own end");
    sqlx::raw_sql("update daypass.strays set spared_until = first_seen").execute(&mut records).await.unwrap();
    reconcile(&ground, &replica, json!({})).await;
    reconcile(&ground, &replica, json!({})).await;
    assert!(ground.databases.logins().await.unwrap().is_empty());
}

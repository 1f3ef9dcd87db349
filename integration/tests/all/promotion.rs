//! The broker's own database goes over to its standby under load: nothing that was answered is lost, and exchanges go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use integration::answer::Door;
use integration::ci::Ci;
use integration::gate::{Gate, Way};
use integration::ground::{Ground, Settings, deploy_claims};
use integration::pair::Pair;
use integration::replica::Replica;
use serde_json::json;
use sqlx::PgConnection;
use tokio::task::JoinSet;

/// How long exchanges may pause.
const RESUME: Duration = Duration::from_secs(10);

/// What jobs were given, and when.
#[derive(Clone, Debug)]
struct Got {
    at: Instant,
    lease: String,
    session: String,
}

#[derive(Debug, Default)]
struct Jobs {
    got: Mutex<Vec<Got>>,
    stop: AtomicBool,
}

impl Jobs {
    /// Exchanges one token after the other at `door` until told to stop.
    async fn work(self: Arc<Self>, door: Door) {
        while !self.stop.load(Ordering::Relaxed) {
            let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
            let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"});
            if let Ok(answer) = door.exchange(&token, body).await {
                if let Ok(granted) = answer.granted() {
                    let lease = granted.credentials["database"].lease_id.clone().unwrap();
                    let got = Got { at: Instant::now(), lease, session: granted.session.id };
                    self.got.lock().unwrap_or_else(PoisonError::into_inner).push(got);
                } else {
                    assert_eq!(answer.status, 503, "refused for a while, and for nothing else: {answer:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for one that was given after `moment`, and says how long after.
    async fn first_after(&self, moment: Instant) -> Duration {
        loop {
            if let Some(got) = self.got().iter().find(|got| got.at > moment) {
                return got.at - moment;
            }
            assert!(moment.elapsed() < RESUME * 2, "exchanges never went on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Jobs at work on two replicas.
async fn load(replicas: &[Replica]) -> (Arc<Jobs>, JoinSet<()>) {
    let (jobs, mut working) = (Arc::<Jobs>::default(), JoinSet::new());
    for replica in replicas {
        working.spawn(jobs.clone().work(replica.native.clone()));
    }
    let begun = Instant::now();
    while jobs.got().len() < 6 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no exchange before anything happened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (jobs, working)
}

/// Every credential that reached a job has its lease and its record, and every login its lease.
async fn nothing_is_lost(ground: &Ground, records: &mut PgConnection, got: &[Got]) {
    for Got { lease, session, .. } in got {
        let leased = "select count(*) from daypass.leases where id = $1::uuid and state = 'active'";
        let leased: i64 = sqlx::query_scalar(leased).bind(lease).fetch_one(&mut *records).await.unwrap();
        let told = "select count(*) from daypass.audit_records where kind = 'exchange.granted' and session_id = $1::uuid";
        let told: i64 = sqlx::query_scalar(told).bind(session).fetch_one(&mut *records).await.unwrap();
        assert_eq!((leased, told), (1, 1), "lease {lease} of session {session}");
    }
    let open = "select upstream from daypass.leases where due_at is not null and upstream is not null";
    let open: Vec<String> = sqlx::query_scalar(open).fetch_all(&mut *records).await.unwrap();
    let untracked: Vec<_> = ground.databases.logins().await.unwrap().into_iter().filter(|login| !open.contains(login)).collect();
    assert!(untracked.is_empty(), "logins without a lease: {untracked:?}");
}

/// Whatever hung at the moment of the cut hangs no more: what is stopped now is stopped on every replica.
async fn a_stop_reaches(replicas: &[Replica], operator: &str) {
    let stop = json!({"filter": {"run": "424242"}, "reason": "after the cut"});
    // It may be the other replica that has gone on by now.
    let begun = Instant::now();
    loop {
        let stopped = replicas[0].operator.ask("POST", "/api/v1/operator/stops", Some(operator), Some(&stop)).await.unwrap();
        if stopped.status == 200 {
            break;
        }
        assert!(stopped.status == 503 && begun.elapsed() < RESUME, "{stopped:?}\n{}", replicas[0].output());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut claims = deploy_claims();
    claims["run_id"] = json!("424242");
    for replica in replicas {
        let token = Ci::shared().unwrap().github(&claims).unwrap();
        let answer = replica.native.exchange(&token, json!({"role": "shop-deploy-prod"})).await.unwrap();
        assert_eq!(answer.code(), "exchange_stopped", "{answer:?}");
    }
}

async fn both(ground: &Ground, url: &str) -> [Replica; 2] {
    let shop = std::fs::read_to_string(ground.path("policies/shop.toml")).unwrap();
    ground.policy("shop.toml", &shop.replacen("ttl ", "max_leases = 1000\nttl ", 1)).unwrap();
    let settings = Settings { database_url: Some(url.to_owned()), ..Settings::default() };
    [ground.start_with(&settings).await.unwrap(), ground.start_with(&settings).await.unwrap()]
}

async fn end(jobs: &Jobs, working: JoinSet<()>) {
    jobs.stop.store(true, Ordering::Relaxed);
    working.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_crashes_is_followed_by_its_standby_and_nothing_is_lost() {
    let ground = Ground::new().await.unwrap();
    let mut pair = Pair::make(&ground.databases).await.unwrap();
    let replicas = both(&ground, &pair.url(&ground.databases, pair.primary_port)).await;
    let (jobs, working) = load(&replicas).await;

    let crashed = Instant::now();
    pair.crash_primary().await.unwrap();
    pair.promote().await.unwrap();
    let paused = jobs.first_after(crashed).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    end(&jobs, working).await;
    eprintln!("exchanges went on {paused:?} after the crash");
    assert!(paused < RESUME, "exchanges paused for {paused:?}");

    let got = jobs.got();
    assert!(got.iter().any(|got| got.at < crashed) && got.len() > 10, "{} exchanges", got.len());
    nothing_is_lost(&ground, &mut pair.records().await.unwrap(), &got).await;
    for replica in &replicas {
        assert!(replica.output().contains("the database is on another server now"));
        assert_eq!(replica.native.ask("GET", "/readyz", None, None).await.unwrap().body, "ready\n", "and nothing is on hold");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_cut_off_and_comes_back_is_not_believed_any_more() {
    let ground = Ground::new().await.unwrap();
    let pair = Pair::make(&ground.databases).await.unwrap();
    let gate = Gate::before(([127, 0, 0, 1], pair.primary_port).into(), Way::Open).await.unwrap();
    let url = pair.url(&ground.databases, gate.port);
    let replicas = both(&ground, &url).await;
    let operator = ground.operator(&replicas[0]).await.unwrap();
    let (jobs, working) = load(&replicas).await;

    let cut = Instant::now();
    gate.turn(Way::Silent);
    pair.promote().await.unwrap();
    let paused = jobs.first_after(cut).await;
    eprintln!("exchanges went on {paused:?} after the cut");
    assert!(paused < RESUME, "exchanges paused for {paused:?}");
    a_stop_reaches(&replicas, &operator).await;

    // It takes writes, and waits in vain for a standby to confirm them. Whoever starts now asks it first.
    let mut old = pair.old_records().await.unwrap();
    let before: i64 = sqlx::query_scalar("select count(*) from daypass.leases").fetch_one(&mut old).await.unwrap();
    gate.turn(Way::Open);
    let settings = Settings { database_url: Some(url), ..Settings::default() };
    let late = ground.start_with(&settings).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"});
    assert_eq!(late.native.exchange(&token, body).await.unwrap().status, 200);
    let count = jobs.got().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    end(&jobs, working).await;
    assert!(jobs.got().len() > count + 5, "exchanges go on where they were");
    let after: i64 = sqlx::query_scalar("select count(*) from daypass.leases").fetch_one(&mut old).await.unwrap();
    assert_eq!(before, after, "nobody writes to the one that was left behind");
    nothing_is_lost(&ground, &mut pair.records().await.unwrap(), &jobs.got()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_lagged_takes_over_and_ends_no_login() {
    let ground = Ground::new().await.unwrap();
    let mut pair = Pair::make(&ground.databases).await.unwrap();
    let replicas = both(&ground, &pair.url(&ground.databases, pair.primary_port)).await;
    let exchange = async |replica: &Replica| {
        let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
        let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"});
        replica.native.exchange(&token, body).await.unwrap()
    };
    let kept = exchange(&replicas[0]).await.granted().unwrap();
    pair.fall_behind().await.unwrap();
    let lost = exchange(&replicas[1]).await.granted().unwrap();
    // Both have seen the log's newest record.
    tokio::time::sleep(Duration::from_secs(3)).await;
    pair.crash_primary().await.unwrap();
    pair.promote().await.unwrap();

    let begun = Instant::now();
    let mut records = pair.records().await.unwrap();
    let on_hold = "select count(*) from daypass.holds";
    while sqlx::query_scalar::<_, i64>(on_hold).fetch_one(&mut records).await.unwrap() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody noticed:\n{}", replicas[0].output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let known = "select count(*) from daypass.leases where id = $1::uuid";
    for (granted, rows) in [(&kept, 1_i64), (&lost, 0)] {
        let credential = &granted.credentials["database"];
        let lease = credential.lease_id.clone().unwrap();
        let known: i64 = sqlx::query_scalar(known).bind(lease).fetch_one(&mut records).await.unwrap();
        assert_eq!(known, rows, "what the standby knew");
        assert!(ground.login(&credential.values).await.is_ok(), "whoever holds a login goes on");
    }

    // Whoever gives something back is heard, and it is not carried out; new exchanges go on.
    let ended = replicas[0].native.ask("DELETE", "/api/v1/session", kept.session.token.as_deref(), None).await.unwrap();
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(exchange(&replicas[1]).await.status, 200);
    let operator = ground.operator(&replicas[0]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ground.databases.logins().await.unwrap().len(), 3, "nothing is taken back");
    let resumed = replicas[0].operator.post("/api/v1/resume", &operator, &json!({})).await.unwrap();
    assert_eq!((resumed.status, resumed.json()["hold"].is_object()), (200, true), "{resumed:?}");
    let begun = Instant::now();
    while ground.databases.logins().await.unwrap().len() > 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is taken back after the hold:\n{}", replicas[0].output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ground.login(&lost.credentials["database"].values).await.is_ok(), "the forgotten one is spared until its own end");
}

//! The disk of the broker's own database runs full under load: exchanges are refused by name, nothing is handed out without its rows,
//! and when there is room again nobody starts the broker anew.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker::dev::postgres::{Durability, Options, Postgres};
use broker::system::System;
use integration::answer::Door;
use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::pair::{DATABASE, prepare};
use integration::replica::{PATIENCE, Replica};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// A small disk in memory. Dropped, it is unmounted.
struct Disk(TempDir);

impl Disk {
    /// Nothing where this process may not mount.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("daypass-disk.").tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0755"), "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn balloon(&self) -> std::path::PathBuf {
        self.path().join("balloon")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.balloon()).unwrap();
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// What jobs met: the leases that they were given, and the tokens that came to nothing.
#[derive(Default)]
struct Met {
    given: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
    stop: AtomicBool,
}

fn held<T: Clone>(list: &Mutex<Vec<T>>) -> Vec<T> {
    list.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn put<T>(list: &Mutex<Vec<T>>, what: T) {
    list.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

fn database() -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"})
}

async fn jobs(met: Arc<Met>, door: Door) {
    while !met.stop.load(Ordering::Relaxed) {
        let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
        let answer = door.exchange(&token, database()).await.unwrap();
        if answer.status == 200 {
            put(&met.given, answer.granted().unwrap().credentials["database"].lease_id.clone().unwrap());
        } else {
            assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "unavailable"), "{answer:?}");
            assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
            assert!(
                !answer.body.contains("space") && !answer.body.contains("disk"),
                "the reason is for the operators: {answer:?}"
            );
            put(&met.refused, token);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn until(what: &str, replica: &Replica, mut holds: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE * 2;
    while !holds().await {
        assert!(Instant::now() < limit, "never came about: {what}: {}", replica.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn status(replica: &Replica, path: &str) -> (u16, String) {
    let answer = replica.native.ask("GET", path, None, None).await.unwrap();
    (answer.status, answer.body)
}

async fn start(disk: &Disk, port: Option<u16>) -> anyhow::Result<Postgres> {
    let settings = ["max_wal_size=32MB", "min_wal_size=32MB", "autovacuum=off"].map(str::to_owned).to_vec();
    let options = Options { dir: disk.path().join("database"), port, bindir: None, durability: Durability::Full, settings };
    Postgres::start(&System::real().0, &options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_exchanges_by_name_and_needs_no_new_start() {
    let Some(disk) = Disk::mount(160) else {
        eprintln!("left out: this process may not mount a disk of its own");
        return;
    };
    let ground = Ground::new().await.unwrap();
    let shop = std::fs::read_to_string(ground.path("policies/shop.toml")).unwrap();
    ground.policy("shop.toml", &shop.replacen("ttl ", "max_leases = 9000\nttl ", 1)).unwrap();
    let mut server = start(&disk, None).await.unwrap();
    prepare(&server, &ground.databases).await.unwrap();
    let url = format!("postgres://{}@127.0.0.1:{}/{DATABASE}", ground.databases.serving_role(), server.port());
    let mut replica = ground.start_with_keys(&Settings { database_url: Some(url), ..Settings::default() }).await.unwrap();
    let (met, mut working) = (Arc::<Met>::default(), JoinSet::new());
    for _ in 0..3 {
        working.spawn(jobs(met.clone(), replica.native.clone()));
    }
    until("exchanges go well", &replica, async || held(&met.given).len() > 5).await;

    disk.fill();
    until("exchanges are refused", &replica, async || {
        disk.fill();
        held(&met.refused).len() > 10
    })
    .await;
    until("it leaves rotation and says why", &replica, async || {
        disk.fill();
        let (status, body) = status(&replica, "/readyz").await;
        status == 503 && (body.contains("no room") || body.contains("does not answer"))
    })
    .await;
    assert_eq!(status(&replica, "/healthz").await.0, 200, "it is alive");
    met.stop.store(true, Ordering::Relaxed);
    working.join_all().await;

    std::fs::remove_file(disk.balloon()).unwrap();
    let address = server.url(DATABASE);
    // PostgreSQL ends where not even its log has room; then somebody starts it again.
    let gone = tokio::time::timeout(Duration::from_secs(3), server.ended()).await.is_ok();
    eprintln!("PostgreSQL {} itself", if gone { "had stopped" } else { "had not stopped" });
    let _server = if gone {
        let port = server.port();
        drop(server);
        start(&disk, Some(port)).await.unwrap()
    } else {
        server
    };
    until("it is back", &replica, async || status(&replica, "/readyz").await.0 == 200).await;
    replica.says("\"message\":\"ready\"").await.unwrap();
    for token in held(&met.refused).iter().rev().take(3) {
        until("a token from which nothing came is good", &replica, async || {
            let answer = replica.native.exchange(token, database()).await.unwrap();
            assert!(answer.status == 200 || answer.code() == "token_already_used", "{answer:?}");
            if answer.status == 200 {
                put(&met.given, answer.granted().unwrap().credentials["database"].lease_id.clone().unwrap());
            }
            answer.status == 200
        })
        .await;
    }

    let mut records = PgConnection::connect(address.expose()).await.unwrap();
    let pending = "select count(*) from daypass.leases where state in ('pending', 'revoking', 'fenced')";
    until("what came to nothing is taken back", &replica, async || {
        sqlx::query_scalar::<_, i64>(pending).fetch_one(&mut records).await.unwrap() == 0
    })
    .await;
    let active: Vec<String> = sqlx::query_scalar("select id::text from daypass.leases where state = 'active' order by 1")
        .fetch_all(&mut records)
        .await
        .unwrap();
    let mut given = held(&met.given);
    given.sort();
    assert_eq!(active, given, "each job that was answered has its lease, and there is no other");
    let told = "select count(*) from daypass.leases l where state = 'active' and exists (select from daypass.audit_records a
                where a.session_id = l.session_id and a.kind = 'exchange.granted')";
    let told: i64 = sqlx::query_scalar(told).fetch_one(&mut records).await.unwrap();
    assert_eq!(usize::try_from(told).unwrap(), given.len(), "and its record");
    let open: Vec<String> = sqlx::query_scalar("select upstream from daypass.leases where state = 'active' order by 1")
        .fetch_all(&mut records)
        .await
        .unwrap();
    assert_eq!(ground.databases.logins().await.unwrap(), open, "each login has its lease");
}

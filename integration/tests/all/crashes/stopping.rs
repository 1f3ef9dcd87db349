//! A rolling deploy: one replica after the other is told to stop while jobs exchange.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use integration::answer::Door;
use rustix::process::Signal;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::*;

/// Two doors, as a load balancer has them, and what came of the jobs.
#[derive(Debug)]
struct Front {
    doors: RwLock<[Door; 2]>,
    granted: AtomicUsize,
    elsewhere: AtomicUsize,
    stop: AtomicBool,
}

impl Front {
    /// One job after the other, each at the next door. One that is shut sends the job to the other, with the same token.
    async fn work(self: Arc<Self>, mut at: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let token = token();
            for attempt in 0.. {
                let door = self.doors.read().await[at % 2].clone();
                at += 1;
                if let Ok(answer) = door.exchange_with(&token, database("10m"), Some("job")).await {
                    answer.granted().unwrap_or_else(|error| panic!("attempt {attempt}: {error}"));
                    self.granted.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                self.elsewhere.fetch_add(1, Ordering::Relaxed);
                assert!(attempt < 3, "neither door is open");
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deploy_under_load_fails_no_job_and_leaks_nothing() {
    let ground = Ground::new().await.unwrap();
    let shop = std::fs::read_to_string(ground.path("policies/shop.toml")).unwrap();
    ground.policy("shop.toml", &shop.replacen("ttl ", "max_leases = 5000\nttl ", 1)).unwrap();
    let settings = Settings::default();
    let mut replicas = [start(&ground, &settings).await, start(&ground, &settings).await];
    let doors = RwLock::new([replicas[0].native.clone(), replicas[1].native.clone()]);
    let front =
        Arc::new(Front { doors, granted: AtomicUsize::new(0), elsewhere: AtomicUsize::new(0), stop: AtomicBool::new(false) });
    let mut jobs = JoinSet::new();
    for at in 0..4 {
        jobs.spawn(front.clone().work(at));
    }
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let replica = &mut replicas[round % 2];
        replica.signal(Signal::TERM).unwrap();
        assert!(replica.ended().await.unwrap().success(), "{}", replica.output());
        assert!(replica.output().contains("\"stopped\"") && !replica.output().contains("stopped before"), "{}", replica.output());
        *replica = start(&ground, &settings).await;
        front.doors.write().await[round % 2] = replica.native.clone();
    }
    front.stop.store(true, Ordering::Relaxed);
    jobs.join_all().await;

    let (granted, elsewhere) = (front.granted.load(Ordering::Relaxed), front.elsewhere.load(Ordering::Relaxed));
    eprintln!("{granted} jobs, {elsewhere} of them found a door shut");
    assert!(granted > 20, "{granted} jobs");
    no_login_without_a_lease(&ground).await;
    let active = ground.databases.count("leases where state = 'active'").await.unwrap();
    assert_eq!(usize::try_from(active).unwrap(), granted, "each job has one, and nothing beside");
    assert_eq!(ground.databases.logins().await.unwrap().len(), granted);
}

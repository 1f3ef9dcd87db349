//! The steps of taking a login back.

use std::collections::BTreeMap;

use super::*;

/// Longer than a second replica takes to start and to take back.
const SLOW: u32 = 12_000;

pub(super) async fn row(ground: &Ground, point: &'static str) {
    let mut given: Vec<(Mode, BTreeMap<String, String>, Uuid)> = Vec::new();
    for mode in Mode::ALL {
        let mut replica = start(ground, &mode.at(point, SLOW)).await;
        let granted = replica.native.exchange(&token(), database("1s")).await.unwrap().granted().unwrap();
        let credential = &granted.credentials["database"];
        let lease: Uuid = credential.lease_id.as_deref().unwrap().parse().unwrap();
        given.push((mode, credential.values.clone(), lease));
        match mode {
            Mode::Abort => {
                died(replica, point).await;
                no_login_without_a_lease(ground).await;
                if point != "worker::before_revoke" {
                    assert!(ground.login(&credential.values).await.is_err(), "{point}: nobody is in, whatever is left to do");
                }
            }
            Mode::Panic => {
                replica.says("panicked at").await.unwrap();
                no_login_without_a_lease(ground).await;
                // Its claim holds for a minute.
                make_due(ground).await;
            }
            Mode::Error => {
                let told = if point == "worker::before_settle" { "could not be written" } else { "tried again" };
                replica.says(told).await.unwrap();
                no_login_without_a_lease(ground).await;
            }
            Mode::Delay => {
                claimed(ground, lease, point).await;
                // Another worker takes what the slow one believes to have.
                make_due(ground).await;
                let _second = start(ground, &Settings::default()).await;
                swept(ground, point).await;
                replica.says("another worker has claimed this lease since").await.unwrap();
            }
        }
    }
    for (mode, values, lease) in given {
        assert!(ground.login(&values).await.is_err(), "{point} {mode:?}");
        let story = story(ground, lease).await;
        assert_eq!(story, ["exchange.asked", "exchange.granted", "lease.revoked"], "{point} {mode:?}: told once");
    }
}

/// Waits until a worker has the lease.
async fn claimed(ground: &Ground, lease: Uuid, point: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let count = ground.databases.count(&format!("leases where id = '{lease}' and claimed_by is not null")).await.unwrap();
        if count == 1 {
            return;
        }
        assert!(Instant::now() < until, "{point}: no worker takes it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

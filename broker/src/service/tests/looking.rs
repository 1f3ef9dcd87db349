//! What a process looks at before it takes anything back.

use domain::lease::State;
use domain::wire::StrayStep;

use super::reconciling::{Compared, reconciler};
use super::*;

impl Compared {
    /// The login as its target has it after a renewal by so much.
    fn prolong(&self, name: &str, by: Duration) {
        let mut logins = self.house.target.logins.lock().unwrap();
        let found = logins.get_mut(name).unwrap();
        found.ends_at = found.ends_at.map(|ends_at| ends_at + by);
    }

    /// Whether a lease that is due is taken back within a moment.
    async fn takes_back(&self, granted: &Granted, lease: Uuid) -> bool {
        let mut tx = self.house.rooms.store.begin().await.unwrap();
        tx.begin_release(&[lease], self.house.rooms.system.now()).await.unwrap();
        tx.commit().await.unwrap();
        for _ in 0..20 {
            if self.house.states(granted.session).await == [State::Revoked] {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lease_that_was_renewed_after_the_backup_says_that_the_database_forgot(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (_, _, name) = it.granted().await;
    it.prolong(&name, Duration::from_mins(20));
    let (fresh, readiness) = reconciler(&it.house);
    fresh.first_look().await;
    assert!(readiness.is_on_hold());
    assert!(it.house.rooms.store.hold().await.unwrap().unwrap().reason.starts_with("connection shop has 1 logins"));

    // Once an operator has looked it starts no second hold, and the reconciler leaves the login to its lease.
    fresh.resume(&it.operator().await, it.house.id()).await.unwrap();
    fresh.run_due().await.unwrap();
    assert!(it.house.rooms.store.hold().await.unwrap().is_none());
    assert_eq!(it.is_open(&name), Some(true));
    let stray = &it.told(true).await.targets[0].strays[0];
    assert_eq!((stray.step, stray.reason.as_str()), (StrayStep::Spared, "its lease knows of an earlier end"));
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_renewal_that_the_log_knows_is_none_that_was_forgotten(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (granted, lease, name) = it.granted().await;
    let row = it.house.rooms.store.lease(lease).await.unwrap().unwrap();
    it.prolong(&name, Duration::from_mins(20));
    // The target was asked, answered too late, and the row was moved back.
    let end = row.expires_at + Duration::from_mins(20);
    let kind = domain::audit::Kind::LeaseRenewed;
    let record = |end: time::OffsetDateTime| {
        let told = crate::audit::log::happened(&it.house.rooms.system, kind, it.house.id(), granted.session, Some(lease), "shop");
        told.unwrap().field("ends_at", end.unix_timestamp())
    };
    it.house.rooms.store.remember(record(end)).await.unwrap();
    it.reconcile.first_look().await;
    assert!(it.house.rooms.store.hold().await.unwrap().is_none());
    // Of two renewals the first one tells nothing of the second.
    it.prolong(&name, Duration::from_mins(20));
    it.reconcile.first_look().await;
    assert!(it.house.rooms.store.hold().await.unwrap().is_some());
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn an_end_that_only_a_name_tells_starts_no_hold(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (_, _, name) = it.granted().await;
    it.prolong(&name, Duration::from_hours(20));
    it.house.target.logins.lock().unwrap().get_mut(&name).unwrap().keeps_end = false;
    it.reconcile.first_look().await;
    assert!(it.house.rooms.store.hold().await.unwrap().is_none());
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn nothing_is_taken_back_from_a_target_that_was_not_looked_at(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (granted, lease, _) = it.granted().await;
    it.house.target.mood(Target::LISTS);
    it.reconcile.first_look().await;
    assert!(!it.takes_back(&granted, lease).await, "its list takes longer than a start waits");
    it.house.target.mood(Target::SILENT);
    let looking = tokio::spawn({
        let reconcile = it.reconcile.clone();
        async move { reconcile.look_further().await }
    });
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!it.takes_back(&granted, lease).await);
    it.house.target.mood(0);
    looking.await.unwrap();
    assert!(it.takes_back(&granted, lease).await);
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_lists_nothing_for_us_keeps_no_lease_waiting(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (granted, lease, _) = it.granted().await;
    it.house.target.mood(Target::REFUSES);
    it.reconcile.first_look().await;
    it.house.target.mood(0);
    assert!(it.takes_back(&granted, lease).await);
    it.house.close().await;
}

//! Renewals of one lease at the same moment.

use std::sync::atomic::Ordering;

use domain::lease::State;

use super::*;
use crate::service::inventory::{Inventory, Renewed};
use crate::store::leases::Lease;
use crate::store::sessions::Session;

/// A lease of a minute that is about to be renewed.
struct Renewing {
    house: House,
    session: Session,
    lease: Uuid,
    began: Lease,
}

impl Renewing {
    async fn build(pool: &PgPool) -> Self {
        let house = House::build(pool, &database("shop", "")).await;
        let ask = Ask { ttl: Some(Duration::from_mins(1)), ..house.ask(&house.token("shop")) };
        let granted = house.exchange(ask).await.unwrap();
        let session = house.sessions.authenticate(token_of(&granted)).await.unwrap();
        let lease = granted.credentials[0].lease.unwrap();
        let began = house.rooms.store.lease(lease).await.unwrap().unwrap();
        Self { house, session, lease, began }
    }

    async fn now(&self) -> Lease {
        self.house.rooms.store.lease(self.lease).await.unwrap().unwrap()
    }

    /// A renewal to ten minutes whose target does not answer, from when it has moved the row.
    async fn hanging(&self) -> tokio::task::JoinHandle<Result<Renewed, Code>> {
        self.house.target.mood(Target::LATE);
        let (inventory, session, lease, decision) =
            (Inventory::new(self.house.rooms.clone()), self.session.clone(), self.lease, self.house.id());
        let hanging = tokio::spawn(async move { inventory.renew_own(&session, lease, None, decision).await.map_err(code) });
        while self.now().await.expires_at == self.began.expires_at || self.house.target.renewals.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.house.target.mood(0);
        hanging
    }

    async fn renew(&self, minutes: u64) -> Result<Renewed, Code> {
        let ttl = Some(Duration::from_mins(minutes));
        self.house.inventory().renew_own(&self.session, self.lease, ttl, self.house.id()).await.map_err(code)
    }
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_renewal_that_fails_late_leaves_alone_what_another_was_told(pool: PgPool) {
    let renewing = Renewing::build(&pool).await;
    let hanging = renewing.hanging().await;
    // It wants less than the row gives by now, and the target follows it there.
    let told = renewing.renew(2).await.unwrap().lease.expires_at;
    assert_eq!(told, renewing.now().await.expires_at);
    renewing.house.target.mood(Target::REFUSES);
    assert_eq!(hanging.await.unwrap().map(|_| ()), Err(Code::TargetRefused));
    let after = renewing.now().await;
    assert_eq!((after.expires_at, after.due_at, after.state), (told, Some(told), State::Active));
    assert_eq!(renewing.house.audit("lease.not_renewed").await.len(), 0, "nothing was taken back");
    renewing.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_renewal_that_fails_late_leaves_a_later_end_alone(pool: PgPool) {
    let renewing = Renewing::build(&pool).await;
    let hanging = renewing.hanging().await;
    let before = renewing.now().await.expires_at;
    let told = renewing.house.inventory().renew_own(&renewing.session, renewing.lease, None, renewing.house.id()).await.unwrap();
    assert!(told.lease.expires_at > before);
    renewing.house.target.mood(Target::REFUSES);
    assert_eq!(hanging.await.unwrap().map(|_| ()), Err(Code::TargetRefused));
    assert_eq!(renewing.now().await.expires_at, told.lease.expires_at);
    renewing.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn of_renewals_that_fail_alone_the_old_end_stands(pool: PgPool) {
    let renewing = Renewing::build(&pool).await;
    let hanging = renewing.hanging().await;
    renewing.house.target.mood(Target::REFUSES);
    assert_eq!(hanging.await.unwrap().map(|_| ()), Err(Code::TargetRefused));
    assert_eq!(renewing.now().await.expires_at, renewing.began.expires_at);
    assert_eq!(renewing.renew(2).await.map(|_| ()), Err(Code::TargetRefused));
    assert_eq!(renewing.now().await.expires_at, renewing.began.expires_at);
    assert_eq!(renewing.house.audit("lease.not_renewed").await.len(), 2);
    // A lease that was given back is moved by nobody.
    renewing.house.target.mood(0);
    renewing.house.rooms.leases.release(renewing.session.id, &[renewing.lease]).await.unwrap();
    assert_eq!(renewing.renew(2).await.map(|_| ()), Err(Code::LeaseNotRenewable));
    renewing.house.close().await;
}

//! Leases beside what a target has, and a database that went back in time.

use domain::lease::State;
use domain::wire::{ReconcileRequest, StrayStep};
use serde_json::Map;

use super::*;
use crate::service::hold::Holds;
use crate::service::readiness::Readiness;
use crate::service::reconcile::Reconcile;
use crate::service::sessions::Holder;

const GRACE: Duration = Duration::from_millis(400);

fn roles() -> String {
    role("ops", "", "engine = \"operator\"\nrights = [\"leases.reconcile\"]") + &database("shop", "max_leases = 100")
}

pub(super) struct Compared {
    pub(super) house: House,
    pub(super) reconcile: Reconcile,
    readiness: Readiness,
}

impl Compared {
    /// A broker with the target `shop`, compared whenever it is asked.
    pub(super) async fn build(pool: &PgPool) -> Self {
        let house = House::build(pool, &roles()).await;
        let shop = crate::store::Connection {
            name: "shop".to_owned(),
            engine: "postgres".to_owned(),
            version: 1,
            url: "postgresql://admin@localhost/shop".to_owned(),
            password: None,
            settings: Map::new(),
            allowed_roles: vec!["*".to_owned()],
            concurrency: 4,
            max_leases: 5_000,
        };
        house.rooms.store.connections().replace(vec![shop]);
        let (reconcile, readiness) = reconciler(&house);
        Self { house, reconcile, readiness }
    }

    pub(super) async fn operator(&self) -> Holder {
        let granted = self.house.exchange(self.house.ask(&self.house.token("ops"))).await.unwrap();
        self.house.sessions.holder(token_of(&granted), self.house.id()).await.unwrap()
    }

    /// Puts a login on the target.
    pub(super) fn login(&self, name: &str, lease: Option<Uuid>) {
        let ends_at = Some(self.house.rooms.system.now() + Duration::from_mins(10));
        let handle = Secret::new(name.as_bytes().to_vec());
        let found = Found { name: name.to_owned(), lease, open: true, ends_at, keeps_end: true, handle };
        self.house.target.logins.lock().unwrap().insert(name.to_owned(), found);
    }

    pub(super) fn is_open(&self, name: &str) -> Option<bool> {
        self.house.target.logins.lock().unwrap().get(name).map(|found| found.open)
    }

    /// An exchange whose login stands on the target.
    pub(super) async fn granted(&self) -> (Granted, Uuid, String) {
        let granted = self.house.exchange(self.house.ask(&self.house.token("shop"))).await.unwrap();
        let lease = granted.credentials[0].lease.unwrap();
        let name = self.house.login_of(lease);
        self.login(&name, Some(lease));
        (granted, lease, name)
    }

    async fn noted(&self) -> usize {
        self.house.rooms.store.strays("shop").await.unwrap().len()
    }

    pub(super) async fn told(&self, dry_run: bool) -> domain::wire::ReconcileAnswer {
        let ask = ReconcileRequest { connection: None, dry_run };
        self.reconcile.now(&self.operator().await, ask, self.house.id()).await.unwrap()
    }
}

pub(super) fn reconciler(house: &House) -> (Reconcile, Readiness) {
    let readiness = Readiness::default();
    let rooms = house.rooms.clone();
    let holds = Holds::new(rooms.system.clone(), rooms.store.clone(), rooms.metrics.clone(), readiness.clone());
    (Reconcile::new(rooms, holds, Duration::from_millis(50), GRACE), readiness)
}

/// Leases grow old enough to be compared.
async fn age(pool: &PgPool) {
    sqlx::query("update daypass.leases set issued_at = issued_at - interval '1 minute'").execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_login_without_a_lease_is_shut_first_and_dropped_after_a_while(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (_, _, leased) = it.granted().await;
    it.login("dp_by_hand", None);
    let looked = it.told(true).await;
    assert_eq!((looked.targets[0].logins, looked.targets[0].strays[0].step), (Some(2), StrayStep::Seen));
    assert_eq!(it.is_open("dp_by_hand"), Some(true), "a dry run changes nothing");
    assert!(it.house.rooms.store.strays("shop").await.unwrap().is_empty());

    it.reconcile.run_due().await.unwrap();
    assert_eq!(it.is_open("dp_by_hand"), Some(false));
    let known = it.house.rooms.store.strays("shop").await.unwrap();
    assert_eq!((known[0].reason.as_str(), known[0].quarantined_at.is_some()), ("no lease knows of it", true));
    assert_eq!(it.told(false).await.targets[0].strays[0].step, StrayStep::Quarantined, "not before its time");

    tokio::time::sleep(GRACE).await;
    it.reconcile.run_due().await.unwrap();
    assert_eq!(it.is_open("dp_by_hand"), None);
    assert_eq!(it.is_open(&leased), Some(true), "what has a lease is left alone");
    assert!(it.house.rooms.store.strays("shop").await.unwrap().is_empty());
    for kind in ["stray.quarantined", "stray.dropped"] {
        assert_eq!(it.house.audit(kind).await[0].fields["upstream"], "dp_by_hand");
    }
    assert_eq!(it.house.audit("leases.reconciled").await.len(), 2);
    assert!(it.house.rooms.store.hold().await.unwrap().is_none(), "such a name says nothing about the database");
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_login_whose_lease_is_over_came_back_with_its_target_and_goes_again(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (granted, lease, name) = it.granted().await;
    it.house.rooms.leases.release(granted.session, &[lease]).await.unwrap();
    assert_eq!(it.house.states(granted.session).await, [State::Revoked]);
    it.login(&name, Some(lease));
    let looked = it.told(false).await;
    assert_eq!((looked.targets[0].strays[0].reason.as_str(), it.is_open(&name)), ("its lease is over", Some(false)));
    assert!(looked.hold.is_none());
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_lease_whose_login_is_gone_is_settled_and_told(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (lost, id, name) = it.granted().await;
    let (kept, _, _) = it.granted().await;
    age(&pool).await;
    it.house.target.logins.lock().unwrap().remove(&name);
    let looked = it.told(true).await;
    assert_eq!((looked.targets[0].lost_count, looked.targets[0].lost[0].lease_id.clone()), (1, id.to_string()));
    assert_eq!(it.house.states(lost.session).await, [State::Active]);
    it.reconcile.run_due().await.unwrap();
    for _ in 0..200 {
        if it.house.states(lost.session).await == [State::Revoked] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(it.house.states(lost.session).await, [State::Revoked]);
    assert_eq!(it.house.states(kept.session).await, [State::Active]);
    assert_eq!(it.house.audit("lease.lost").await[0].fields["lease_id"], id.to_string());
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_is_suddenly_empty_is_doubted_until_an_operator_says_so(pool: PgPool) {
    let it = Compared::build(&pool).await;
    for _ in 0..12 {
        it.granted().await;
    }
    age(&pool).await;
    it.house.target.logins.lock().unwrap().clear();
    it.reconcile.run_due().await.unwrap();
    let active = "select count(*) from daypass.leases where state = 'active'";
    assert_eq!(sqlx::query_scalar::<_, i64>(active).fetch_one(&pool).await.unwrap(), 12);
    assert_eq!(it.told(false).await.targets[0].lost_count, 12);
    assert_eq!(sqlx::query_scalar::<_, i64>(active).fetch_one(&pool).await.unwrap(), 0);
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_target_that_does_not_answer_changes_nothing(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (granted, ..) = it.granted().await;
    age(&pool).await;
    it.house.target.mood(Target::SILENT);
    let looked = it.told(false).await;
    assert!(looked.targets[0].logins.is_none() && looked.targets[0].failure.as_ref().unwrap().contains("nobody answers"));
    assert_eq!(it.house.states(granted.session).await, [State::Active]);
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn strays_that_wait_for_their_end_keep_no_other_from_it(pool: PgPool) {
    let it = Compared::build(&pool).await;
    for at in 0..600 {
        it.login(&format!("dp_a{at:03}"), None);
    }
    let open = || (0..600).filter(|at| it.is_open(&format!("dp_a{at:03}")) == Some(true)).count();
    it.reconcile.run_due().await.unwrap();
    assert_eq!((open(), it.noted().await), (100, 600), "so many in one run, and all noted");
    // One more comes, behind all that wait for their end.
    sqlx::query("update daypass.strays set quarantined_at = now() + interval '1 hour'").execute(&pool).await.unwrap();
    it.house.target.logins.lock().unwrap().values_mut().for_each(|found| found.open = false);
    it.login("dp_z", None);
    tokio::time::sleep(Duration::from_millis(60)).await;
    it.reconcile.run_due().await.unwrap();
    assert_eq!((it.is_open("dp_z"), it.noted().await), (Some(false), 601));
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn one_replica_at_a_time_compares_a_target(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (store, now) = (&it.house.rooms.store, it.house.rooms.system.now());
    let next = now + Duration::from_mins(10);
    let (one, other) = tokio::join!(store.claim_reconciliation("shop", now, next), store.claim_reconciliation("shop", now, next));
    assert_eq!(u8::from(one.unwrap()) + u8::from(other.unwrap()), 1);
    assert!(!store.claim_reconciliation("shop", next - Duration::from_secs(1), next).await.unwrap());
    assert!(store.claim_reconciliation("shop", next, next + Duration::from_mins(10)).await.unwrap());
    it.house.close().await;
}

/// The database as a backup has it: without the last lease and what was recorded since.
async fn go_back(pool: &PgPool, lease: Uuid) {
    sqlx::query("delete from daypass.leases where id = $1").bind(lease).execute(pool).await.unwrap();
    sqlx::query("delete from daypass.audit_records where at > (select min(at) from daypass.audit_records)")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_process_that_remembers_more_than_the_database_takes_nothing_back(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (kept, kept_lease, _) = it.granted().await;
    it.reconcile.holds.confirm().await.unwrap();
    let (_, lease, _) = it.granted().await;
    it.reconcile.holds.confirm().await.unwrap();
    assert!(!it.readiness.is_on_hold());

    go_back(&pool, lease).await;
    it.reconcile.holds.confirm().await.unwrap();
    assert!(it.readiness.is_on_hold());
    let mut tx = it.house.rooms.store.begin().await.unwrap();
    tx.begin_release(&[kept_lease], it.house.rooms.system.now()).await.unwrap();
    tx.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(it.house.states(kept.session).await, [State::Revoking], "it waits");

    let ended = it.reconcile.resume(&it.operator().await, it.house.id()).await.unwrap();
    assert!(ended.hold.unwrap().reason.contains("brought back from a backup"));
    assert!(it.reconcile.resume(&it.operator().await, it.house.id()).await.unwrap().hold.is_none());
    it.house.rooms.leases.wait_for_session(kept.session).await.unwrap();
    assert_eq!(it.house.states(kept.session).await, [State::Revoked]);
    it.reconcile.holds.confirm().await.unwrap();
    assert!(!it.readiness.is_on_hold());
    assert_eq!((it.house.audit("hold.began").await.len(), it.house.audit("hold.lifted").await.len()), (1, 1));
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_fresh_process_learns_from_the_targets_that_the_database_forgot(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let (_, lease, name) = it.granted().await;
    it.login("dp_by_hand", None);
    go_back(&pool, lease).await;
    let (fresh, readiness) = reconciler(&it.house);
    fresh.first_look().await;
    assert!(readiness.is_on_hold());
    let reason = it.house.rooms.store.hold().await.unwrap().unwrap().reason;
    assert!(reason.starts_with("connection shop has 1 logins of leases that the database has forgotten"), "{reason}");
    fresh.run_due().await.unwrap();
    assert_eq!((it.is_open(&name), it.is_open("dp_by_hand")), (Some(true), Some(true)), "reconciliation waits too");

    // Once resumed, the job that holds it keeps it until its end, and it starts no second hold.
    fresh.resume(&it.operator().await, it.house.id()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    fresh.run_due().await.unwrap();
    assert!(it.house.rooms.store.hold().await.unwrap().is_none());
    assert_eq!((it.is_open(&name), it.is_open("dp_by_hand")), (Some(true), Some(false)));
    let told = it.told(true).await;
    let stray = told.targets[0].strays.iter().find(|stray| stray.name == name).unwrap();
    assert_eq!(stray.step, StrayStep::Spared);
    sqlx::query("update daypass.strays set spared_until = spared_until - interval '1 hour'").execute(&pool).await.unwrap();
    it.told(false).await;
    assert_eq!(it.is_open(&name), Some(false), "and no longer");
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_name_from_long_ago_or_from_the_future_starts_no_hold(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let now = it.house.rooms.system.now();
    for (name, at) in [("dp_old", now - Duration::from_hours(24 * 9)), ("dp_forged", now + Duration::from_hours(1))] {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        it.login(name, Some(uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()));
    }
    it.reconcile.first_look().await;
    it.reconcile.run_due().await.unwrap();
    assert!(it.house.rooms.store.hold().await.unwrap().is_none());
    assert_eq!((it.is_open("dp_old"), it.is_open("dp_forged")), (Some(false), Some(false)));
    it.house.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn nothing_is_compared_without_the_right(pool: PgPool) {
    let it = Compared::build(&pool).await;
    let granted = it.house.exchange(it.house.ask(&it.house.token("shop"))).await.unwrap();
    let holder = it.house.sessions.holder(token_of(&granted), it.house.id()).await.unwrap();
    let denied = it.reconcile.now(&holder, ReconcileRequest::default(), it.house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(denied, Err(Code::RightMissing));
    assert_eq!(it.reconcile.resume(&holder, it.house.id()).await.map(|_| ()).map_err(code), Err(Code::RightMissing));
    let nowhere = ReconcileRequest { connection: Some("nowhere".to_owned()), dry_run: true };
    let unknown = it.reconcile.now(&it.operator().await, nowhere, it.house.id()).await.map(|_| ()).map_err(code);
    assert_eq!(unknown, Err(Code::NotFound));
    it.house.close().await;
}

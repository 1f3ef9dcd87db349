//! Taking leases back: when they are due, when their holder gives them back, when what was asked could not be finished.
//!
//! Leases are rows, not timers. A worker claims due rows in a short transaction and holds no lock while it talks to a
//! target; what it then writes counts only if nobody claimed the row after it. There is no last try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::audit::Kind;
use domain::lease::State;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::error::Error;
use crate::audit::log;
use crate::engines::Engines;
use crate::engines::engine::{Bench, EngineError, Revoked};
use crate::failpoint;
use crate::store::Store;
pub use crate::store::leases::Lease;
use crate::store::leases::{Claim, Claimed, Outcome};
use crate::store::sessions::Session;
use crate::system::{NoEntropy, System};
use crate::telemetry::Metrics;

mod lane;
mod passive;
mod unseen;

use lane::{Counted, Lane};
use unseen::Unseen;

/// How long a claim holds. Longer than taking back can take.
const CLAIM: Duration = Duration::from_mins(1);
/// How long taking one lease back may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a claimed lease waits for its target's turn. With the patience it is less than the claim.
const QUEUE: Duration = Duration::from_secs(25);
/// The back-off of leases whose target is known to be down grows no further than at this attempt: when the target comes
/// back they are taken back within seconds.
const SOON: i32 = 4;
/// Leases that one replica takes back at the same time, over all targets.
const AT_ONCE: usize = 64;
/// The most of them at one target, however many operations its connection takes: one that hangs must leave room for the others.
const WIDEST: usize = AT_ONCE / 4;
/// How long a run waits for a slot before it leaves the rest to the next one.
const MOMENT: Duration = Duration::from_millis(50);
/// Leases claimed in one transaction.
const BATCH: usize = 32;
/// What is due for less than this is on its way, not late.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long a holder who gives leases back waits for them to be gone.
const GIVING_BACK: Duration = Duration::from_secs(8);
/// How often it is tried to give leases back that nobody holds: for about an hour.
const UNKNOWN: i32 = 20;
/// A lease this long past its end calls for an operator.
const OVERDUE: Duration = Duration::from_mins(1);

/// Takes leases back.
#[derive(Clone, Debug)]
pub struct Leases {
    system: System,
    store: Store,
    engines: Arc<Engines>,
    bench: Bench,
    metrics: Metrics,
    replica: Uuid,
    wake: Arc<Notify>,
    slots: Arc<Semaphore>,
    lanes: Arc<Mutex<HashMap<String, Arc<Lane>>>>,
    unseen: Unseen,
    under_way: TaskTracker,
    /// Nothing is taken back before this moment, by this machine's own clock.
    paused: Arc<Mutex<Option<Instant>>>,
}

impl Leases {
    pub fn new(system: System, store: Store, engines: Arc<Engines>, bench: Bench, metrics: Metrics) -> Result<Self, NoEntropy> {
        let replica = system.row_id()?;
        let (slots, lanes) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::default());
        let (under_way, paused) = (TaskTracker::new(), Arc::default());
        let (wake, unseen) = (Arc::default(), Unseen::default());
        Ok(Self { system, store, engines, bench, metrics, replica, wake, slots, lanes, unseen, under_way, paused })
    }

    /// Tells the expiry worker of this replica that something is due.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes nothing back for a while: what the clock calls due may not be.
    pub fn pause(&self, length: Duration) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + length);
    }

    /// Whether what the clock says is doubted at the moment. Take the time before asking: the pause is there before the new time.
    pub fn is_paused(&self) -> bool {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }

    /// The leases of a session, newest first.
    pub async fn of_session(&self, session: Uuid) -> Result<Vec<Lease>, Error> {
        Ok(self.store.leases_of(session).await?)
    }

    /// Claims what is due and takes it back, as much as this replica may do at once. Targets that are down or busy are
    /// passed over, so that they delay nobody else.
    pub async fn take_back_due(&self) -> Result<(), Error> {
        loop {
            let now = self.system.now();
            if self.is_paused() {
                return Ok(());
            }
            // Where all slots are taken by targets that are slow, the next run is early enough.
            if tokio::time::timeout(MOMENT, self.slots.acquire()).await.is_err() {
                return Ok(());
            }
            let room = self.slots.available_permits().clamp(1, BATCH);
            let except = self.busy(now);
            let limit = i64::try_from(room).unwrap_or(1);
            let claimed =
                self.store.claim_leases(&Claim { owner: self.replica, now, until: now + CLAIM, limit, except: &except }).await?;
            let full = claimed.len() == room;
            for claim in claimed {
                let (leases, lane) = (self.clone(), self.lane(target(&claim.lease)));
                if !claim.lease.revocable {
                    // No target has a part in it: as fast as the database goes, so many at a time.
                    let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return Ok(()) };
                    self.under_way.spawn(async move {
                        leases.take_back(claim, &lane).await;
                        drop(slot);
                    });
                    continue;
                }
                let counted = Counted::new(lane);
                self.under_way.spawn(async move { leases.take_back(claim, &counted.0).await });
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Waits until what has been claimed here is settled. Nothing may be claimed any more when it is called.
    pub async fn settle(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Counts what is past its end and not gone, and raises the alarm for what should have been.
    pub async fn watch_overdue(&self) -> Result<(), Error> {
        let now = self.system.now();
        let late = self.store.late_leases(now - GRACE).await?;
        let oldest = late.since.and_then(|since| Duration::try_from(now - since).ok()).unwrap_or_default();
        self.metrics.overdue(late.count, oldest);
        if oldest > OVERDUE {
            self.metrics.alarm("lease_overdue");
            tracing::error!(leases = late.count, oldest_seconds = oldest.as_secs(), "leases are past their end and not gone");
        }
        Ok(())
    }

    /// Gives leases of a session back before their end, and waits a little for them to be gone.
    pub async fn release(&self, session: Uuid, ids: &[Uuid]) -> Result<Vec<Lease>, Error> {
        let decision = self.system.row_id()?;
        let mine: Vec<Lease> = self.of_session(session).await?.into_iter().filter(|lease| ids.contains(&lease.id)).collect();
        let ids: Vec<Uuid> = mine.iter().map(|lease| lease.id).collect();
        let mut tx = self.store.begin().await?;
        let begun = tx.begin_release(&ids, self.system.now()).await?;
        let given_back = mine.iter().filter(|lease| begun.contains(&lease.id));
        let remark =
            |lease: &Lease| log::happened(&self.system, Kind::LeaseReleased, decision, session, Some(lease.id), &lease.role);
        tx.remember(&given_back.map(remark).collect::<Result<Vec<_>, _>>()?).await?;
        tx.commit().await?;
        self.wait_for(session, &ids).await
    }

    /// Gives leases back of which nobody knows whether they were granted, as soon as that can be written.
    pub fn give_up(&self, ids: Vec<Uuid>) {
        let leases = self.clone();
        self.under_way.spawn(async move {
            for attempt in 1..=UNKNOWN {
                tokio::time::sleep(leases.back_off(attempt)).await;
                let given_back = async {
                    let mut tx = leases.store.begin().await?;
                    tx.begin_release(&ids, leases.system.now()).await?;
                    tx.commit().await
                };
                match leases.store.whole(given_back).await {
                    Ok(()) => return leases.wake(),
                    Err(error) => tracing::warn!(%error, attempt, "leases that nobody holds could not be given back yet"),
                }
            }
        });
    }

    /// Waits a little for leases to be taken back, here or by another replica. What takes longer goes on without its holder.
    async fn wait_for(&self, session: Uuid, ids: &[Uuid]) -> Result<Vec<Lease>, Error> {
        self.wake();
        let mut pause = Duration::from_millis(10);
        let (until, end) = (tokio::time::Instant::now() + GIVING_BACK, self.system.now() + GIVING_BACK);
        loop {
            let leases: Vec<Lease> =
                self.of_session(session).await?.into_iter().filter(|lease| ids.contains(&lease.id)).collect();
            // Passive leases end by themselves; those that were pending are not even tried before their create deadline.
            let later = |lease: &Lease| lease.attempt == 0 && lease.due_at.is_some_and(|due| due > end);
            let going = |lease: &Lease| lease.state == State::Revoking && lease.reason.is_none() && !later(lease);
            if !leases.iter().any(going) || tokio::time::Instant::now() >= until {
                return Ok(leases);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Waits a little for the leases of a session that has been ended.
    pub async fn wait_for_session(&self, session: Uuid) -> Result<Vec<Lease>, Error> {
        let ids: Vec<_> = self.of_session(session).await?.iter().map(|lease| lease.id).collect();
        self.wait_for(session, &ids).await
    }

    /// Ends the session of a first attempt and takes back what it made, so that it can be made again. Whether nothing
    /// revocable is left; `false` also while the attempt still runs.
    pub async fn take_back_session(&self, session: &Session, decision: Uuid) -> Result<bool, Error> {
        let leases = self.of_session(session.id).await?;
        if leases.iter().any(|lease| lease.state == State::Pending) {
            return Ok(false);
        }
        let record = log::happened(&self.system, Kind::SessionEnded, decision, session.id, None, &session.role)?;
        let record = record.field("reason", "repeated");
        self.store.end_session(session.id, self.system.now(), &[record]).await?;
        let left = self.wait_for_session(session.id).await?;
        Ok(!left.iter().any(|lease| lease.state.is_open() && lease.state != State::Passive))
    }

    /// One lease, to its end or to its next try.
    async fn take_back(&self, claim: Claimed, lane: &Lane) {
        let lease = &claim.lease;
        let outcome = self.outcome(&claim, lane).await;
        let (kind, state) = match &outcome {
            Outcome::Revoked => (Kind::LeaseRevoked, "revoked"),
            Outcome::Fenced { reason, .. } => {
                tracing::warn!(lease = %lease.id, engine = lease.engine, reason, "the login is dead, the rest is tried again");
                (Kind::LeaseFenced, "fenced")
            }
            Outcome::Retry { reason, .. } => {
                tracing::warn!(lease = %lease.id, engine = lease.engine, reason, attempt = lease.attempt, "a lease could not be taken back; tried again");
                (Kind::LeaseRetried, "retried")
            }
        };
        let settled = async {
            failpoint::pass("worker::before_settle").await?;
            let mut remark =
                log::happened(&self.system, kind, self.system.row_id()?, lease.session_id, Some(lease.id), &lease.role)?;
            remark = remark.field("engine", lease.engine.as_str()).field("attempt", i64::from(lease.attempt));
            if let Outcome::Fenced { reason, .. } | Outcome::Retry { reason, .. } = &outcome {
                remark = remark.field("reason", reason.as_str());
            }
            if !lease.revocable && outcome == Outcome::Revoked {
                remark = remark.field("reason", "never handed out");
            }
            // The first failure of a row is remembered; a target that is down for a day is not a record every five minutes.
            let known = match &outcome {
                Outcome::Retry { .. } => lease.attempt > 1,
                Outcome::Fenced { reason, .. } => lease.reason.as_ref() == Some(reason),
                Outcome::Revoked => false,
            };
            let remarks = if known { Vec::new() } else { vec![remark] };
            Ok::<_, Error>(self.store.settle_lease(&claim, &outcome, self.system.now(), &remarks).await?)
        };
        match settled.await {
            Ok(true) => self.metrics.ended(&lease.engine, state),
            Ok(false) => tracing::info!(lease = %lease.id, "another worker has claimed this lease since"),
            Err(error) => {
                tracing::warn!(lease = %lease.id, ?error, "what became of a lease could not be written; it is claimed again");
            }
        }
    }

    async fn outcome(&self, claim: &Claimed, lane: &Lane) -> Outcome {
        let lease = &claim.lease;
        if !lease.revocable {
            // One that was never activated was never handed out either: nobody holds it, and it ends by its own clock.
            return Outcome::Revoked;
        }
        let target = target(lease);
        let retry = |reason: String, attempt| Outcome::Retry { reason, next_try: self.system.now() + self.back_off(attempt) };
        // Waiting for a turn is not the target's fault, and takes nobody else's slot.
        let turn = async { (lane.seats.acquire().await, self.slots.acquire().await) };
        let Ok((Ok(_seat), Ok(_slot))) = tokio::time::timeout(QUEUE, turn).await else {
            return retry(format!("{target} is busy, or all of this broker's turns are taken"), 1);
        };
        if lane.is_closed(self.system.now()) {
            return retry(format!("{target} is not available"), lease.attempt.min(SOON));
        }
        let taken = async {
            failpoint::pass("worker::before_revoke").await.map_err(|error| EngineError::Fault(error.into()))?;
            self.engines.revoke(&lease.engine, &self.bench, &claim.handle).await
        };
        match tokio::time::timeout(PATIENCE, taken).await {
            Ok(Ok(Revoked::Gone)) => {
                lane.answered();
                Outcome::Revoked
            }
            Ok(Ok(Revoked::Held(until))) => {
                lane.answered();
                let reason = "the name is held until nothing can create it any more".to_owned();
                Outcome::Fenced { reason, next_try: until.max(self.system.now()) + self.back_off(1) }
            }
            Ok(Ok(Revoked::Fenced(reason))) => {
                lane.answered();
                Outcome::Fenced { reason, next_try: self.system.now() + self.back_off(lease.attempt) }
            }
            Ok(Err(error)) => {
                if matches!(error, EngineError::TargetUnavailable(_)) {
                    lane.failed(self.system.now());
                } else {
                    // A target that says no is there, for the others.
                    lane.answered();
                }
                retry(error.to_string(), lease.attempt)
            }
            Err(_) => {
                lane.failed(self.system.now());
                retry(format!("{target} did not answer within {} s", PATIENCE.as_secs()), lease.attempt)
            }
        }
    }

    /// Targets to pass over for now.
    fn busy(&self, now: time::OffsetDateTime) -> Vec<String> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = lanes.iter().filter(|(_, lane)| lane.is_busy(now));
        busy.map(|(target, _)| target.clone()).chain(self.unseen()).collect()
    }

    fn lane(&self, target: &str) -> Arc<Lane> {
        let seats = self.bench.connections.get(target).map_or(4, |connection| connection.concurrency);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = usize::try_from(seats).unwrap_or(4).min(WIDEST);
        let lane = lanes.entry(target.to_owned()).or_insert_with(|| Arc::new(Lane::new(seats, Arc::clone(&self.wake))));
        if lane.width != seats {
            // The connection's concurrency was changed; what is under way ends on the old lane.
            *lane = Arc::new(Lane::new(seats, Arc::clone(&self.wake)));
        }
        Arc::clone(lane)
    }

    /// 1 s, doubling to 5 min, with full jitter: somewhere between half a second and that.
    fn back_off(&self, attempt: i32) -> Duration {
        let steps = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(9);
        let ceiling = Duration::from_secs(1 << steps).min(Duration::from_mins(5));
        let dice = self.system.random::<2>().map_or(u16::MAX, u16::from_le_bytes);
        ceiling.mul_f64(f64::from(dice) / f64::from(u16::MAX)).max(Duration::from_millis(500))
    }
}

/// What a lease is taken back from: its connection or, without one, all of its engine.
fn target(lease: &Lease) -> &str {
    lease.connection.as_deref().unwrap_or(&lease.engine)
}

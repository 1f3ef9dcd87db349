//! What keeps an installation in order: its clock, its old rows, its keys.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::Kind;

use super::error::Error;
use super::readiness::{Readiness, Reason};
use super::rooms::Rooms;
use super::waiting;
use crate::audit::log;
use crate::oidc::keys::KeyCache;
use crate::system::{FollowingClock, Look};

/// A replica whose own clock is further off than this leaves rotation.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// The database's clock against this machine's may drift, but not leap by more than this between two looks.
const CLOCK_LEAP: time::Duration = time::Duration::seconds(30);

/// How long expiry pauses after a leap.
const LEAP_PAUSE: Duration = Duration::from_mins(1);

/// Records moved to the active key generation in one run.
const REWRAP_BATCH: i64 = 500;

/// Rows removed in one statement.
const SWEEP_BATCH: i64 = 5_000;

/// How long leases and sessions that are over stay, to be looked at. The audit trail keeps what it says of them.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// How long counts of refusals are kept.
const COUNTS_KEPT: Duration = Duration::from_hours(90 * 24);

/// Keeps things in order.
#[derive(Clone, Debug)]
pub struct Upkeep {
    rooms: Arc<Rooms>,
    clock: Arc<FollowingClock>,
    keys: Arc<KeyCache>,
    readiness: Readiness,
}

impl Upkeep {
    pub const fn new(rooms: Arc<Rooms>, clock: Arc<FollowingClock>, keys: Arc<KeyCache>, readiness: Readiness) -> Self {
        Self { rooms, clock, keys, readiness }
    }

    /// How long the clock may run unwatched; short while the database does not answer.
    pub fn clock_interval(&self) -> Duration {
        let doubtful = [Reason::DatabaseUnreachable, Reason::ClockOff, Reason::DatabaseFull];
        if doubtful.into_iter().any(|reason| self.readiness.holds(reason)) {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(10)
        }
    }

    /// Asks the database for the time and follows it.
    pub async fn follow_clock(&self) -> Result<(), Error> {
        let look = match self.rooms.store.database_time().await {
            Ok(look) => look,
            Err(error) => {
                self.readiness.set(Reason::DatabaseUnreachable, true);
                return Err(error.into());
            }
        };
        // A database whose clock leaps forward would end every lease at once: first somebody has to look. Nobody may see the
        // new time before the pause is there.
        self.doubt(self.clock.leap(&look));
        self.clock.follow(&look);
        let offset = FollowingClock::offset(&look);
        self.readiness.set(Reason::DatabaseUnreachable, false);
        self.readiness.set(Reason::ClockOff, offset.unsigned_abs() > CLOCK_TOLERANCE);
        self.rooms.metrics.clock_offset(offset.as_seconds_f64());
        self.watch_room().await;
        Ok(())
    }

    /// A small record may still find a place where a large one does not: only a while without a failure is room again.
    async fn watch_room(&self) {
        if self.rooms.store.was_full() {
            self.rooms.metrics.alarm("database_full");
            tracing::error!("the database has no room for records: nothing can be granted");
            self.readiness.set(Reason::DatabaseFull, true);
        } else if self.readiness.holds(Reason::DatabaseFull) {
            self.readiness.set(Reason::DatabaseFull, !self.has_room().await);
        }
    }

    /// Whether a database that had no room for records takes them again: the first one says so.
    async fn has_room(&self) -> bool {
        let Ok(record) = log::own(&self.rooms.system, Kind::DatabaseFull) else { return false };
        self.rooms.store.remember(record).await.is_ok()
    }

    /// The first look of a process, which has none before it to compare with: this machine's calendar stands in for it.
    pub fn begin_clock(&self, look: &Look) {
        self.doubt(FollowingClock::offset(look));
        self.clock.follow(look);
    }

    fn doubt(&self, leap: time::Duration) {
        let seconds = leap.whole_seconds();
        if leap > CLOCK_LEAP {
            self.rooms.leases.pause(LEAP_PAUSE);
            self.rooms.metrics.alarm("clock_leap");
            tracing::error!(seconds, "the database's clock has leapt forward; expiry pauses");
        } else if leap < -CLOCK_LEAP {
            self.rooms.metrics.alarm("clock_leap");
            tracing::error!(seconds, "the database's clock has leapt back; leases are taken back late, by their targets in time");
        }
    }

    /// Starts the fetches that are due. Without the keys of any issuer, this replica leaves rotation.
    pub fn refresh_keys(&self) {
        self.keys.refresh_due();
        self.readiness.set(Reason::NoKeys, !self.keys.serves());
    }

    /// Tells how it stands with each issuer's keys. One that does not answer is an alarm and keeps nobody else out.
    pub fn tell_of_keys(&self) {
        let (set, metrics) = (self.rooms.policies.active(), &self.rooms.metrics);
        for status in self.keys.status() {
            let Some(issuer) = set.issuer_by_url(&status.issuer).map(|issuer| issuer.name.as_str()) else { continue };
            metrics.keys(issuer, status.age, status.failures);
            if status.stale {
                metrics.alarm("issuer_keys_stale");
                tracing::error!(issuer, failure = status.failure, "an issuer's keys are old or not there");
            }
            if status.private_key {
                metrics.alarm("issuer_private_key");
                tracing::error!(issuer, "the issuer publishes a private key: whoever reads it can sign as the issuer");
            }
        }
    }

    /// Reads the connections again where another replica or an operator has changed them.
    pub async fn follow_connections(&self) -> Result<(), Error> {
        if self.rooms.store.reload_connections().await? {
            tracing::info!("connections were changed elsewhere and read again");
        }
        Ok(())
    }

    /// Removes rows that nothing needs any more. While the clock is doubted nothing is removed: the use of a token that is
    /// forgotten too early could be spent again. So this machine's calendar has to agree that it is over.
    pub async fn sweep(&self) -> Result<(), Error> {
        let (store, now) = (&self.rooms.store, self.rooms.system.now());
        if self.rooms.leases.is_paused() {
            return Ok(());
        }
        self.rooms.leases.watch_overdue().await?;
        waiting::tell(&self.rooms).await?;
        let full = SWEEP_BATCH.unsigned_abs();
        while store.forget_uses(self.rooms.system.clock.earliest(), SWEEP_BATCH).await? == full {}
        while store.forget_job_ends(now, SWEEP_BATCH).await? == full {}
        while store.forget_leases(now - KEPT, SWEEP_BATCH).await? == full {}
        while store.forget_sessions(now - KEPT, SWEEP_BATCH).await? == full {}
        while store.forget_denials(now - COUNTS_KEPT, SWEEP_BATCH).await? == full {}
        Ok(())
    }

    /// Moves sealed records to the active generation until none is left on an older one, then retires it.
    pub async fn rewrap(&self) -> Result<(), Error> {
        let store = &self.rooms.store;
        while store.rewrap(REWRAP_BATCH).await?.moved > 0 {}
        let record = log::own(&self.rooms.system, Kind::KeyRetired)?;
        let retired = store
            .retire(self.rooms.system.now(), |generation| record.clone().field("generation", i64::from(generation.0)))
            .await?;
        for generation in retired {
            tracing::info!(generation = generation.0, "a generation of the data key is retired");
        }
        Ok(())
    }
}

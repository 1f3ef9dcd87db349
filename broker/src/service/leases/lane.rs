//! The way to one target: so many leases at a time, and none while it is known to be down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, Semaphore};

use super::PATIENCE;

/// After this many failures in a row a target is left alone for a while.
const FAILURES: u32 = 3;
/// For so long.
const REST: Duration = Duration::from_secs(5);

/// The way to one target: so many at a time, none while it is known to be down.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) width: usize,
    /// Leases that this replica has claimed and not settled.
    claimed: AtomicUsize,
    pub(super) seats: Semaphore,
    failures: Mutex<(u32, Option<OffsetDateTime>)>,
    /// Told when there is room again.
    wake: Arc<Notify>,
}

/// One claimed lease in its lane's count, for as long as this lives: work that panics must not keep its place.
#[derive(Debug)]
pub(super) struct Counted(pub(super) Arc<Lane>);

impl Counted {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        lane.claimed.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // What else is due there does not wait for the next run.
        if self.0.claimed.fetch_sub(1, Ordering::Relaxed) == self.0.width {
            self.0.wake.notify_one();
        }
    }
}

impl Lane {
    pub(super) fn new(width: usize, wake: Arc<Notify>) -> Self {
        Self { width, claimed: AtomicUsize::new(0), seats: Semaphore::new(width), failures: Mutex::default(), wake }
    }

    /// Whether this replica has claimed as many leases as it may, or the target is left alone.
    pub(super) fn is_busy(&self, now: OffsetDateTime) -> bool {
        self.claimed.load(Ordering::Relaxed) >= self.width || self.rests(now)
    }

    /// Whether the target is left alone at the moment.
    fn rests(&self, now: OffsetDateTime) -> bool {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).1.is_some_and(|until| now < until)
    }

    pub(super) fn is_closed(&self, now: OffsetDateTime) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.1 {
            Some(until) if now < until => true,
            Some(_) => {
                // Half open: this one goes through as a probe, the next ones wait for what becomes of it.
                failures.1 = Some(now + PATIENCE);
                false
            }
            None => false,
        }
    }

    pub(super) fn answered(&self) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = (0, None);
    }

    pub(super) fn failed(&self, now: OffsetDateTime) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.0 = failures.0.saturating_add(1);
        if failures.0 >= FAILURES {
            failures.1 = Some(now + REST);
        }
    }
}

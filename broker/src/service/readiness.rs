//! Whether this replica may be sent traffic. Reasons come from a closed list and tell nothing about the installation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Why a replica is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    Starting = 1,
    DatabaseUnreachable = 2,
    ClockOff = 4,
    Stopping = 8,
    /// No issuer that is believed has given its keys: every token would be turned away.
    NoKeys = 16,
    /// Nothing can be recorded, so nothing can be granted.
    DatabaseFull = 32,
}

impl Reason {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Starting, "starting"),
        (Self::DatabaseUnreachable, "the database does not answer"),
        (Self::ClockOff, "the clock is too far from the database's"),
        (Self::Stopping, "stopping"),
        (Self::NoKeys, "no issuer has given its keys yet"),
        (Self::DatabaseFull, "the database has no room"),
    ];
}

/// Shared by those who know and those who answer.
#[derive(Clone, Debug)]
pub struct Readiness {
    reasons: Arc<AtomicU8>,
    /// Taking back waits; requests are served all the same.
    held: Arc<AtomicBool>,
    /// A newer policy set cannot be used; the one before decides.
    refused: Arc<AtomicBool>,
}

impl Default for Readiness {
    /// Not ready: starting.
    fn default() -> Self {
        Self { reasons: Arc::new(AtomicU8::new(Reason::Starting as u8)), held: Arc::default(), refused: Arc::default() }
    }
}

impl Readiness {
    pub fn set(&self, reason: Reason, holds: bool) {
        if holds {
            self.reasons.fetch_or(reason as u8, Ordering::AcqRel);
        } else {
            self.reasons.fetch_and(!(reason as u8), Ordering::AcqRel);
        }
    }

    pub fn holds(&self, reason: Reason) -> bool {
        self.reasons.load(Ordering::Acquire) & (reason as u8) != 0
    }

    /// Tells whether taking back waits for an operator.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    pub fn is_on_hold(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Tells whether there is a newer policy set that cannot be used.
    pub fn refuse_policy(&self, refused: bool) {
        self.refused.store(refused, Ordering::Release);
    }

    pub fn has_refused_policy(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    pub fn check(&self) -> Result<(), &'static str> {
        let held = self.reasons.load(Ordering::Acquire);
        Reason::ALL.iter().find(|(reason, _)| held & (*reason as u8) != 0).map_or(Ok(()), |(_, words)| Err(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_no_reason_holds() {
        let readiness = Readiness::default();
        assert_eq!(readiness.check(), Err("starting"));
        readiness.set(Reason::ClockOff, true);
        readiness.set(Reason::Starting, false);
        assert_eq!(readiness.check(), Err("the clock is too far from the database's"));
        readiness.set(Reason::ClockOff, false);
        assert_eq!(readiness.check(), Ok(()));
    }
}

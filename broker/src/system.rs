//! The world outside: time and randomness, as one value, so that a test can replace them.
//!
//! The clock follows the database's: every replica agrees on what "expired" means, whatever its own clock says.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

/// Keeps other processes of the same user and core dumps away from the secrets in memory, as far as the system allows.
pub fn harden() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

/// What tells the time. Everything that decides takes the time as a value; this is where the value comes from.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> OffsetDateTime;
}

/// What gives randomness that nobody can guess.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `bytes`, or says that the source failed.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The source of randomness failed; nothing that needs it may go on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system's source of randomness failed")]
pub struct NoEntropy;

/// All that a test replaces.
#[derive(Clone, Debug)]
pub struct System {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl System {
    /// The machine's own, with a clock that can be told the database's time.
    pub fn real() -> (Self, Arc<FollowingClock>) {
        let clock = Arc::new(FollowingClock::default());
        (Self { clock: clock.clone(), entropy: Arc::new(OsEntropy::default()) }, clock)
    }

    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A time-ordered row id (RFC 9562 version 7) from this system's clock and randomness.
    pub fn row_id(&self) -> Result<uuid::Uuid, NoEntropy> {
        let now = self.now().unix_timestamp_nanos() / 1_000_000;
        Ok(uuid::Builder::from_unix_timestamp_millis(u64::try_from(now).unwrap_or(0), &self.random()?).into_uuid())
    }
}

/// The machine's clock moved by the measured offset to the database's.
#[derive(Debug, Default)]
pub struct FollowingClock {
    offset_micros: AtomicI64,
}

impl FollowingClock {
    /// Tells what the database's clock said `round_trip` after being asked at `asked` (this machine's time).
    /// Returns how far the machine is from the database.
    pub fn follow(&self, asked: OffsetDateTime, round_trip: Duration, database: OffsetDateTime) -> time::Duration {
        let offset = database - (asked + round_trip / 2);
        let micros = i64::try_from(offset.whole_microseconds()).unwrap_or(0);
        self.offset_micros.store(micros, Ordering::Relaxed);
        offset
    }

    /// The database's clock less this machine's, as of the last measurement.
    pub fn offset(&self) -> time::Duration {
        time::Duration::microseconds(self.offset_micros.load(Ordering::Relaxed))
    }

    /// This machine's own time, without the offset.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn machine() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> OffsetDateTime {
        Self::machine() + time::Duration::microseconds(self.offset_micros.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
struct OsEntropy(SystemRandom);

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill(bytes).map_err(|_| NoEntropy)
    }
}

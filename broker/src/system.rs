//! The world outside: time and randomness, as one value, so that a test can replace them.
//!
//! The clock follows the database's: every replica agrees on what "expired" means, whatever its own clock says.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

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

    /// The latest moment that it may be. Whoever asks whether something is over, and must not be fooled by a clock that went
    /// back, asks this.
    fn latest(&self) -> OffsetDateTime {
        self.now()
    }

    /// The earliest moment that it may be: for what must not be forgotten because a clock went ahead.
    fn earliest(&self) -> OffsetDateTime {
        self.now()
    }
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

/// One look at the database's clock.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub database: OffsetDateTime,
    /// When it was asked, a connection already in hand.
    pub asked: Instant,
    pub round_trip: Duration,
}

impl Look {
    /// The moment to which `database` belongs, as near as can be told.
    fn moment(&self) -> Instant {
        self.asked + self.round_trip / 2
    }
}

/// The database's clock, carried on from the last look by the machine's count of time that passes. What somebody does to the
/// machine's own calendar between two looks changes nothing: no lease ends early, no token lives longer. The machine's calendar is
/// the second opinion: for one token to be good twice, both would have to be wrong.
#[derive(Debug)]
pub struct FollowingClock {
    started: Instant,
    /// What time it was at `started`, in microseconds since 1970.
    origin: AtomicI64,
    followed: AtomicBool,
}

impl Default for FollowingClock {
    /// Begins at the machine's own time, which counts until the first look.
    fn default() -> Self {
        let clock = Self { started: Instant::now(), origin: AtomicI64::new(0), followed: AtomicBool::new(false) };
        clock.origin.store(micros(Self::machine()), Ordering::Relaxed);
        clock
    }
}

impl FollowingClock {
    /// Goes on from what the database's clock said.
    pub fn follow(&self, look: &Look) {
        self.origin.store(micros(look.database - self.passed(look.moment())), Ordering::Relaxed);
        self.followed.store(true, Ordering::Relaxed);
    }

    /// How far the database's clock has leapt ahead (or back) since the last look, beside the time that has passed. Nothing
    /// before the first.
    pub fn leap(&self, look: &Look) -> time::Duration {
        if self.followed.load(Ordering::Relaxed) { look.database - self.at(look.moment()) } else { time::Duration::ZERO }
    }

    /// The database's clock less this machine's calendar.
    pub fn offset(look: &Look) -> time::Duration {
        look.database - (Self::machine() - look.moment().elapsed())
    }

    /// This machine's own time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn machine() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn at(&self, moment: Instant) -> OffsetDateTime {
        let origin = i128::from(self.origin.load(Ordering::Relaxed)) * 1_000;
        OffsetDateTime::from_unix_timestamp_nanos(origin).unwrap_or(OffsetDateTime::UNIX_EPOCH) + self.passed(moment)
    }

    fn passed(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.started)
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> OffsetDateTime {
        self.at(Instant::now())
    }

    fn latest(&self) -> OffsetDateTime {
        self.now().max(Self::machine())
    }

    fn earliest(&self) -> OffsetDateTime {
        self.now().min(Self::machine())
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

#[derive(Debug, Default)]
struct OsEntropy(SystemRandom);

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill(bytes).map_err(|_| NoEntropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(database: OffsetDateTime) -> Look {
        Look { database, asked: Instant::now(), round_trip: Duration::ZERO }
    }

    #[test]
    fn tells_the_databases_time_whatever_the_machines_calendar_says() {
        let clock = FollowingClock::default();
        let there = time::macros::datetime!(2001-02-03 04:05:06 UTC);
        clock.follow(&look(there));
        let ahead = clock.now() - there;
        // The clock counts whole microseconds from its start, so it may stand a fraction of one behind.
        assert!((-time::Duration::MICROSECOND..time::Duration::seconds(5)).contains(&ahead), "{ahead}");
        assert!(FollowingClock::offset(&look(there)) < time::Duration::days(-365));
    }

    #[test]
    fn the_machines_calendar_is_a_second_opinion_on_what_is_over() {
        let clock = FollowingClock::default();
        let hour = time::Duration::hours(1);
        clock.follow(&look(FollowingClock::machine() + hour));
        assert!(clock.earliest() < clock.now() - hour / 2 && clock.latest() >= clock.now() - time::Duration::SECOND);
        clock.follow(&look(FollowingClock::machine() - hour));
        assert!(clock.latest() > clock.now() + hour / 2 && clock.earliest() <= clock.now() + time::Duration::SECOND);
    }

    #[test]
    fn a_leap_is_told_before_it_is_followed_and_not_at_the_first_look() {
        let clock = FollowingClock::default();
        let there = time::macros::datetime!(2001-02-03 04:05:06 UTC);
        assert_eq!(clock.leap(&look(there)), time::Duration::ZERO);
        clock.follow(&look(there));
        let leap = clock.leap(&look(there + time::Duration::hours(1)));
        assert!((leap - time::Duration::hours(1)).abs() < time::Duration::seconds(5), "{leap}");
        assert!(clock.now() - there < time::Duration::minutes(1), "not followed yet");
    }

    #[test]
    fn half_of_the_way_there_and_back_is_taken_off() {
        let clock = FollowingClock::default();
        let there = time::macros::datetime!(2001-02-03 04:05:06 UTC);
        let asked = Instant::now();
        clock.follow(&Look { database: there, asked, round_trip: Duration::from_secs(2) });
        let off = clock.at(asked + Duration::from_secs(1)) - there;
        assert!(off.abs() < time::Duration::milliseconds(1), "{off}");
    }
}

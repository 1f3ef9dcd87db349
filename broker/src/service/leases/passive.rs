//! Leases that end by their own clock: no target has a part in their end, and nobody waits for it to be written down.

use std::time::{Duration, Instant};

use domain::audit::Kind;

use super::Leases;
use crate::audit::log;
use crate::service::error::Error;
use crate::store::leases::Expiring;

/// Leases written off in one transaction.
const WRITTEN_OFF: i64 = 15;
/// How many times as long as it took to write them off is waited before the next ones.
const RESTING: f64 = 24.0;
/// Leases that have ended this long ago are written off faster, the faster the longer it was: there are more of them than that
/// pace can write off.
const LATE: Duration = Duration::from_mins(2);
/// After this time it rests no longer than it works.
const TOO_LATE: Duration = Duration::from_mins(4);
/// A database that takes seconds for a batch is not left alone for minutes.
const LONGEST_REST: Duration = Duration::from_secs(2);

impl Leases {
    /// Writes off what has ended by its own clock, at a pace that leaves the database to those who wait for it: nobody
    /// waits for this.
    pub async fn expire_passive(&self) -> Result<(), Error> {
        while !self.is_paused() {
            let begun = Instant::now();
            let record = |lease: &Expiring| {
                let decision = self.system.row_id()?;
                let remark =
                    log::happened(&self.system, Kind::LeaseExpired, decision, lease.session_id, Some(lease.id), &lease.role)?;
                Ok(remark.field("engine", lease.engine.as_str()).field("attempt", i64::from(lease.attempt) + 1))
            };
            let now = self.system.now();
            let expired = self.store.expire_leases(now, WRITTEN_OFF, record).await?;
            for lease in &expired {
                self.metrics.ended(&lease.engine, "expired");
            }
            let Some(first) = expired.first().filter(|_| i64::try_from(expired.len()) == Ok(WRITTEN_OFF)) else { break };
            let late = Duration::try_from(now - first.due_at).unwrap_or_default();
            tokio::time::sleep(rest(begun.elapsed(), late)).await;
        }
        Ok(())
    }
}

/// How long the database is left alone after `work` on leases that ended `late` ago.
fn rest(work: Duration, late: Duration) -> Duration {
    let left = TOO_LATE.saturating_sub(late).as_secs_f64() / TOO_LATE.abs_diff(LATE).as_secs_f64();
    work.mul_f64((RESTING * left).clamp(1.0, RESTING)).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_less_the_later_it_is() {
        let rest = |late| rest(Duration::from_millis(4), Duration::from_secs(late)).as_millis();
        assert_eq!([0, 120, 150, 180, 235, 240, 86_400].map(rest), [96, 96, 72, 48, 4, 4, 4]);
    }

    #[test]
    fn does_not_leave_a_slow_database_alone_for_minutes() {
        assert_eq!(rest(Duration::from_secs(5), Duration::ZERO), LONGEST_REST);
    }
}

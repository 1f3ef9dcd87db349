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
const RESTING: u32 = 6;
/// After this time without an end there are more of them than that pace can write off: then it rests as long as it works.
const BEHIND: Duration = Duration::from_mins(1);
/// A database that takes seconds for a batch is not left alone for minutes.
const LONGEST_REST: Duration = Duration::from_secs(2);

impl Leases {
    /// Writes off what has ended by its own clock, at a pace that leaves the database to those who wait for it: nobody
    /// waits for this.
    pub async fn expire_passive(&self) -> Result<(), Error> {
        let started = Instant::now();
        while !self.is_paused() {
            let begun = Instant::now();
            let record = |lease: &Expiring| {
                let decision = self.system.row_id()?;
                let remark =
                    log::happened(&self.system, Kind::LeaseExpired, decision, lease.session_id, Some(lease.id), &lease.role)?;
                Ok(remark.field("engine", lease.engine.as_str()).field("attempt", i64::from(lease.attempt) + 1))
            };
            let expired = self.store.expire_leases(self.system.now(), WRITTEN_OFF, record).await?;
            for lease in &expired {
                self.metrics.ended(&lease.engine, "expired");
            }
            if i64::try_from(expired.len()) != Ok(WRITTEN_OFF) {
                break;
            }
            let resting = if started.elapsed() < BEHIND { RESTING } else { 1 };
            tokio::time::sleep((begun.elapsed() * resting).min(LONGEST_REST)).await;
        }
        Ok(())
    }
}

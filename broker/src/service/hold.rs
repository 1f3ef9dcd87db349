//! Noticing that the database went back in time, and waiting then.
//!
//! A database that was brought back from a backup has forgotten leases that were given since, and calls leases live or over that
//! are not. Taking back on its word would end the logins of running jobs. What it forgot stands elsewhere: each process
//! remembers the newest record of the log that it has seen, which is never deleted; and the targets have logins whose names
//! tell of leases that must have a row and have none (`service/reconcile`). Either is enough for a hold.

use std::sync::{Arc, Mutex, PoisonError};

use domain::audit::Kind;
use uuid::Uuid;

use super::error::Error;
use super::readiness::Readiness;
use crate::audit::log;
use crate::store::Store;
use crate::store::holds::Hold;
use crate::system::System;
use crate::telemetry::Metrics;

/// Watches over the database's memory.
#[derive(Clone, Debug)]
pub struct Holds {
    system: System,
    store: Store,
    metrics: Metrics,
    readiness: Readiness,
    remembered: Arc<Mutex<Option<Uuid>>>,
}

impl Holds {
    pub fn new(system: System, store: Store, metrics: Metrics, readiness: Readiness) -> Self {
        Self { system, store, metrics, readiness, remembered: Arc::default() }
    }

    /// Compares what this process remembers with what the database does. Before anything is taken back.
    pub async fn confirm(&self) -> Result<(), Error> {
        let remembered = *self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = self.store.memory(remembered).await?;
        if memory.stands {
            self.tell(memory.held);
        } else {
            self.begin(
                "the database has forgotten what happened: it was brought back from a backup, or a standby that lagged took over",
            )
            .await?;
        }
        // Only now: a hold that could not be written is tried again.
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = memory.newest;
        Ok(())
    }

    /// Lets taking back wait for an operator, on every replica.
    pub async fn begin(&self, reason: &str) -> Result<(), Error> {
        let record = log::own(&self.system, Kind::HoldBegan)?.field("reason", reason);
        let hold = Hold { since: self.system.now(), reason: reason.to_owned() };
        if self.store.begin_hold(&hold, &record).await? {
            self.metrics.alarm("on_hold");
            tracing::error!(reason, "nothing is taken back until an operator has looked: `daypass lease resume`");
        }
        self.tell(true);
        Ok(())
    }

    /// The hold, if there is one.
    pub async fn current(&self) -> Result<Option<Hold>, Error> {
        Ok(self.store.hold().await?)
    }

    /// Tells of the hold that there is or is not, for a process that takes nothing back.
    pub async fn follow(&self) -> Result<(), Error> {
        let held = self.current().await?.is_some();
        self.tell(held);
        Ok(())
    }

    fn tell(&self, held: bool) {
        self.readiness.hold(held);
        self.metrics.on_hold(held);
    }
}

//! Takes back what is due: leases past their end, and leases that were recorded but never came into being.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::hold::Holds;
use crate::service::leases::Leases;

#[derive(Debug)]
pub struct Expiry {
    pub leases: Leases,
    pub holds: Holds,
}

impl Worker for Expiry {
    const NAME: &'static str = "expiry";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn woken(&self) {
        self.leases.woken().await;
    }

    async fn run(&self) -> Result<(), Error> {
        // A database that has forgotten what happened must not say what is over.
        self.holds.confirm().await?;
        self.leases.take_back_due().await
    }
}

//! Writes off what ends by its own clock. Apart from taking back, which must not wait behind it.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::hold::Holds;
use crate::service::leases::Leases;

#[derive(Debug)]
pub struct PassiveExpiry {
    pub leases: Leases,
    pub holds: Holds,
}

impl Worker for PassiveExpiry {
    const NAME: &'static str = "passive expiry";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&self) -> Result<(), Error> {
        self.holds.confirm().await?;
        self.leases.expire_passive().await
    }
}

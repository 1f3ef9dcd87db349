//! Clears rows that nothing needs any more: uses of tokens that have expired, sessions that are long over.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct Sweep {
    pub upkeep: Upkeep,
}

impl Worker for Sweep {
    const NAME: &'static str = "sweep";

    fn every(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.sweep().await
    }
}

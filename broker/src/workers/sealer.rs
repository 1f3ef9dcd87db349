//! Moves sealed records to the active generation of the data key, and retires generations that protect nothing.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct Sealer {
    pub upkeep: Upkeep,
}

impl Worker for Sealer {
    const NAME: &'static str = "sealer";

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.rewrap().await
    }
}

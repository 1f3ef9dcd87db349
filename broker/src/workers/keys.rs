//! Starts the fetches of issuers' keys that are due.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct KeyFetch {
    pub upkeep: Upkeep,
}

impl Worker for KeyFetch {
    const NAME: &'static str = "keys";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.refresh_keys();
        Ok(())
    }
}

//! Tells how it stands with the issuers' keys.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct KeyHealth {
    pub upkeep: Upkeep,
}

impl Worker for KeyHealth {
    const NAME: &'static str = "key health";

    fn every(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.tell_of_keys();
        Ok(())
    }
}

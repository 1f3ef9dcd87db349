//! Follows connections that another replica or an operator has changed.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct ConnectionWatch {
    pub upkeep: Upkeep,
}

impl Worker for ConnectionWatch {
    const NAME: &'static str = "connections";

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.follow_connections().await
    }
}

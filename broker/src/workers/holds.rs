//! Follows the hold where nothing is taken back: every process tells of it.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::hold::Holds;

#[derive(Debug)]
pub struct HoldWatch {
    pub holds: Holds,
}

impl Worker for HoldWatch {
    const NAME: &'static str = "holds";

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn run(&self) -> Result<(), Error> {
        self.holds.follow().await
    }
}

//! Keeps the clock at the database's time, and the replica out of rotation while it cannot.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::upkeep::Upkeep;

#[derive(Debug)]
pub struct ClockWatch {
    pub upkeep: Upkeep,
}

impl Worker for ClockWatch {
    const NAME: &'static str = "clock";

    fn every(&self) -> Duration {
        self.upkeep.clock_interval()
    }

    async fn run(&self) -> Result<(), Error> {
        self.upkeep.follow_clock().await
    }
}

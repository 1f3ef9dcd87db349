//! Follows the stops of exchanges, and ends what they speak of. Two workers: however much there is to end, a new stop holds at once.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::stops::Stops;

#[derive(Debug)]
pub struct StopWatch {
    pub stops: Stops,
}

impl Worker for StopWatch {
    const NAME: &'static str = "stops";

    /// An operator is told that a stop holds everywhere within five seconds.
    fn every(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn run(&self) -> Result<(), Error> {
        self.stops.follow().await
    }
}

#[derive(Debug)]
pub struct StopSweep {
    pub stops: Stops,
}

impl Worker for StopSweep {
    const NAME: &'static str = "stop-sweep";

    fn every(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn run(&self) -> Result<(), Error> {
        self.stops.sweep_all().await
    }
}

//! Moves the counts of refusals into the store.

use std::time::Duration;

use super::worker::Worker;
use crate::service::denials::Denials;
use crate::service::error::Error;
use crate::service::limiter::Limiter;

#[derive(Debug)]
pub struct TallyFlush {
    pub denials: Denials,
    pub limiter: Limiter,
}

impl Worker for TallyFlush {
    const NAME: &'static str = "tally";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn run(&self) -> Result<(), Error> {
        self.limiter.tidy();
        self.denials.flush().await
    }
}

//! Follows the policy sets that operators push, or watches the policy folder.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::policies::Keeper;

#[derive(Debug)]
pub struct PolicyWatch {
    pub keeper: Keeper,
}

impl Worker for PolicyWatch {
    const NAME: &'static str = "policies";

    /// An operator is told that a set decides everywhere within five seconds.
    fn every(&self) -> Duration {
        Duration::from_secs(2)
    }

    async fn run(&self) -> Result<(), Error> {
        self.keeper.look().await
    }
}

//! Ends the sessions of jobs that their CI system has reported as over.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::job_ends::JobEnds;

#[derive(Debug)]
pub struct JobEndings {
    pub ends: JobEnds,
}

impl Worker for JobEndings {
    const NAME: &'static str = "job_ends";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn woken(&self) {
        self.ends.woken().await;
    }

    async fn run(&self) -> Result<(), Error> {
        self.ends.end_due().await
    }
}

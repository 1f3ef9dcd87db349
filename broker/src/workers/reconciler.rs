//! Compares leases and targets, both ways.

use std::time::Duration;

use super::worker::Worker;
use crate::service::error::Error;
use crate::service::reconcile::Reconcile;

#[derive(Debug)]
pub struct Reconciler {
    pub reconcile: Reconcile,
}

impl Worker for Reconciler {
    const NAME: &'static str = "reconciler";

    /// How often it is asked whose turn it is; how often each target has one is configured.
    fn every(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn run(&self) -> Result<(), Error> {
        self.reconcile.run_due().await
    }
}

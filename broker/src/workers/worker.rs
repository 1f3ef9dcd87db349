//! What goes on by itself. Workers are doors that time walks through: they see services only and may run twice at once.

use std::fmt::Debug;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::error::Error;

/// Something that is done again and again. One file each; the list is in `workers/mod.rs`.
pub trait Worker: Debug + Send + Sync + 'static {
    const NAME: &'static str;

    /// How long to rest between two runs.
    fn every(&self) -> Duration;

    /// Ends the rest early, where there is a reason to.
    fn woken(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// One run. Idempotent; a failure is logged and the next run comes as always.
    fn run(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Runs `worker` until `stop`. A run that has begun is finished.
pub fn start<W: Worker>(worker: W, stop: &CancellationToken, tracker: &TaskTracker) {
    let stop = stop.clone();
    tracker.spawn(async move {
        let mut failing = false;
        loop {
            match worker.run().await {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!(worker = W::NAME, "works again");
                }
                // A worker that fails every second says so once.
                Err(error) if !failing => {
                    failing = true;
                    let reason = match &error {
                        Error::Fault(fault) => fault.chain(),
                        Error::Refused(refusal) => refusal.to_string(),
                    };
                    tracing::warn!(worker = W::NAME, reason, "failed; it goes on trying");
                }
                Ok(()) | Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = worker.woken() => {}
                () = tokio::time::sleep(worker.every()) => {}
            }
        }
    });
}

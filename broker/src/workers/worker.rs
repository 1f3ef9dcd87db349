//! What goes on by itself. Workers are doors that time walks through: they see services only and may run twice at once.

use std::fmt::Debug;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::panics;
use crate::service::error::Error;
use crate::telemetry::Metrics;

/// Something that is done again and again. One file each; the list is in `workers/mod.rs`.
pub trait Worker: Debug + Send + Sync + 'static {
    const NAME: &'static str;

    /// How long to rest between two runs.
    fn every(&self) -> Duration;

    /// Ends the rest early, where there is a reason to.
    fn woken(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// One run. Idempotent; a failure is logged and the next run comes as always, after a panic too.
    fn run(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Runs `worker` until `stop`. A run that has begun is finished.
pub fn start<W: Worker>(worker: W, metrics: &Metrics, stop: &CancellationToken, tracker: &TaskTracker) {
    let (stop, metrics) = (stop.clone(), metrics.clone());
    tracker.spawn(async move {
        let mut failing = false;
        loop {
            match caught(W::NAME, &metrics, worker.run()).await {
                Some(Ok(())) if failing => {
                    failing = false;
                    tracing::info!(worker = W::NAME, "works again");
                }
                // A worker that fails every second says so once.
                Some(Err(error)) if !failing => {
                    failing = true;
                    let reason = match &error {
                        Error::Fault(fault) => fault.chain(),
                        Error::Refused(refusal) => refusal.to_string(),
                    };
                    tracing::warn!(worker = W::NAME, reason, "failed; it goes on trying");
                }
                Some(Ok(()) | Err(_)) | None => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = worker.woken() => {}
                () = tokio::time::sleep(worker.every()) => {}
            }
        }
    });
}

/// What `work` gives, or nothing if it panicked: then the log and an alarm say so, and what calls this goes on.
pub async fn caught<T>(name: &'static str, metrics: &Metrics, work: impl Future<Output = T>) -> Option<T> {
    match panics::caught(work).await {
        Ok(done) => Some(done),
        Err(panic) => {
            tracing::error!(worker = name, panic, "panicked and goes on with the next run; this is a defect");
            metrics.alarm("worker_panicked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::telemetry::{Config, Telemetry};

    #[derive(Debug)]
    struct Clumsy(Arc<AtomicU32>);

    impl Worker for Clumsy {
        const NAME: &'static str = "clumsy";

        fn every(&self) -> Duration {
            Duration::from_millis(1)
        }

        async fn run(&self) -> Result<(), Error> {
            tokio::task::yield_now().await;
            assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first run");
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_worker_that_panics_runs_again_and_raises_an_alarm() {
        let quiet = Config { level: "off".to_owned(), ..Config::default() };
        let telemetry = Telemetry::start(&quiet, "test").unwrap();
        let (runs, stop, tracker) = (Arc::new(AtomicU32::new(0)), CancellationToken::new(), TaskTracker::new());
        start(Clumsy(runs.clone()), &telemetry.metrics, &stop, &tracker);
        let again = async {
            while runs.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        let told = prometheus::TextEncoder::new().encode_to_string(&telemetry.registry.gather()).unwrap();
        assert!(told.contains("kind=\"worker_panicked\""), "{told}");
    }
}

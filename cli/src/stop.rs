//! Whether this process was told to end. Nothing new is begun then; what is under way comes to its end.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::watch;

/// Shared by whoever hears of signals and whoever waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<watch::Sender<Option<Signal>>>);

impl Stop {
    pub(crate) fn tell(&self, signal: Signal) {
        self.0.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert(signal);
            first
        });
    }

    /// The first signal that told it.
    pub(crate) fn told(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Returns once it is told.
    pub(crate) async fn wait(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// As a shell tells that a signal ended a command.
pub(crate) fn exit_code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

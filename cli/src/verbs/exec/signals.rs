//! The signals that a CI system or a user sends; they are passed on instead of obeyed, so that credentials are always released.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::failure::{Failure, Result};
use crate::stop::Stop;

const PASSED_ON: [Signal; 6] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];

#[derive(Debug)]
pub(crate) struct Signals {
    arrived: mpsc::Receiver<Signal>,
}

impl Signals {
    /// From now on no signal of the list ends this process; those that ask to end tell `stop`.
    pub(crate) fn listen(stop: &Stop) -> Result<Self> {
        let (sender, arrived) = mpsc::channel(16);
        for kind in PASSED_ON {
            let mut stream = signal(SignalKind::from_raw(kind.as_raw()))
                .map_err(|error| Failure::local("signals cannot be listened to").because(&error))?;
            let (sender, stop) = (sender.clone(), stop.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if !matches!(kind, Signal::USR1 | Signal::USR2) {
                        stop.tell(kind);
                    }
                    if sender.send(kind).await.is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { arrived })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        match self.arrived.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

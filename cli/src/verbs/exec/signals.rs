//! The signals that a CI system or a user sends; they are passed on instead of obeyed, so that credentials are always released.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::failure::{Failure, Result};

const PASSED_ON: [Signal; 6] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2];

#[derive(Debug)]
pub(crate) struct Signals {
    arrived: mpsc::Receiver<Signal>,
}

impl Signals {
    /// From now on no signal of the list ends this process.
    pub(crate) fn listen() -> Result<Self> {
        let (sender, arrived) = mpsc::channel(16);
        for kind in PASSED_ON {
            let mut stream = signal(SignalKind::from_raw(kind.as_raw()))
                .map_err(|error| Failure::local("signals cannot be listened to").because(&error))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if sender.send(kind).await.is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { arrived })
    }

    /// A signal that asks to end and came before there was a command to pass it on to.
    pub(crate) fn already(&mut self) -> Option<Signal> {
        std::iter::from_fn(|| self.arrived.try_recv().ok()).find(|signal| !matches!(*signal, Signal::USR1 | Signal::USR2))
    }

    pub(crate) async fn next(&mut self) -> Signal {
        match self.arrived.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// As a shell tells that a signal ended a command.
pub(crate) fn exit_code(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)
}

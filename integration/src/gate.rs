//! A door in front of a server that a test can close: connections end, new ones are refused or go unanswered.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Everything is cut.
    Closed,
    /// Connections are taken and never answered.
    Silent,
}

/// A port of its own in front of `target`.
#[derive(Debug)]
pub struct Gate {
    pub port: u16,
    way: Arc<watch::Sender<Way>>,
    task: JoinHandle<()>,
}

impl Gate {
    pub async fn before(target: SocketAddr, way: Way) -> Result<Self> {
        Self::at(0, target, way).await
    }

    /// The same on a port that was chosen before.
    pub async fn at(port: u16, target: SocketAddr, way: Way) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let way = Arc::new(watch::Sender::new(way));
        let sender = Arc::clone(&way);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, target, sender.subscribe()));
            }
        });
        Ok(Self { port, way, task })
    }

    pub fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
        self.way.send_replace(Way::Closed);
    }
}

async fn pass(mut stream: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let now = *way.borrow_and_update();
    match now {
        Way::Open => {
            let Ok(mut there) = TcpStream::connect(target).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut stream, &mut there) => {}
                _ = way.changed() => {}
            }
        }
        Way::Closed => {}
        Way::Silent => {
            let _ = way.changed().await;
        }
    }
}

//! The edge: our own accept loop, because a ready-made one holds slow clients open for ever.
//!
//! Every step a client can drag out has a deadline: the handshake, the first byte, the headers, taking the answer. (The
//! body's deadline is that of the whole request, in `layers`.)
//! Connections beyond the limit are closed at once rather than queued.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::guests::Guests;
use super::tls::Certificate;
use crate::telemetry::Metrics;

mod patience;

use patience::Patient;

/// How long a client may take and how much it may bring.
#[derive(Clone, Copy, Debug)]
pub struct EdgeLimits {
    pub connections: usize,
    /// Of those, from one address.
    pub per_address: usize,
    pub handshake: Duration,
    /// From the connection or the last answer to the end of the headers.
    pub headers: Duration,
    pub header_count: usize,
    pub header_bytes: usize,
    /// From the moment the client does not take more of an answer until it has taken all of it.
    pub answer: Duration,
    /// How long open requests may go on after a stop was asked for.
    pub drain: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 64,
            handshake: Duration::from_secs(3),
            headers: Duration::from_secs(5),
            header_count: 32,
            header_bytes: 16 * 1024,
            answer: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}

/// Where the client came from, for the request's handlers.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// One listener with its router.
#[derive(Debug)]
pub struct Edge {
    pub name: &'static str,
    pub listener: TcpListener,
    pub tls: Option<Arc<Certificate>>,
    pub router: Router,
    pub limits: EdgeLimits,
    pub metrics: Metrics,
}

impl Edge {
    /// Serves until `stop`, then lets open requests finish within the drain time and closes what is still open after it.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { name, listener, tls, router, limits, metrics } = self;
        let seats = Arc::new(Semaphore::new(limits.connections));
        let guests = Guests::default();
        let tracker = TaskTracker::new();
        let abandon = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors and the like: give the machine a moment instead of spinning.
                    tracing::warn!(listener = name, %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                metrics.shed("connections");
                continue;
            };
            let Some(guest) = guests.admit(peer.ip(), limits.per_address) else {
                metrics.shed("connections_of_address");
                continue;
            };
            let (tls, router, stop, metrics) = (tls.clone(), router.clone(), stop.clone(), metrics.clone());
            let abandon = abandon.clone();
            tracker.spawn(async move {
                metrics.connection(name, 1);
                let ended = tokio::select! {
                    ended = connection(stream, peer, tls, router, limits, stop) => ended,
                    () = abandon.cancelled() => Err(io::ErrorKind::TimedOut.into()),
                };
                if let Err(error) = ended {
                    tracing::debug!(listener = name, %error, "connection ended early");
                }
                metrics.connection(name, -1);
                drop((seat, guest));
            });
        }
        drop(listener);
        tracker.close();
        if tokio::time::timeout(limits.drain, tracker.wait()).await.is_err() {
            tracing::warn!(listener = name, "requests were still open after the drain time");
            abandon.cancel();
            tracker.wait().await;
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Certificate>>,
    router: Router,
    limits: EdgeLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => requests(stream, peer, router, limits, stop).await,
        Some(certificate) => {
            let handshake = TlsAcceptor::from(certificate.current()).accept(stream);
            let stream = tokio::time::timeout(limits.handshake, handshake)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            requests(stream, peer, router, limits, stop).await
        }
    }
}

async fn requests<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    limits: EdgeLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    let service = TowerToHyperService::new(router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Peer(peer));
        request
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_headers(limits.header_count)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.answer)), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(io::Error::other)
}

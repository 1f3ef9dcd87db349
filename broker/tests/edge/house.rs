//! A listener with a small router behind the real door, and clients that speak to it byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::routing::{get, post};
use broker::http::edge::{Edge, EdgeLimits};
use broker::http::large::{Large, Vouch, Vouched};
use broker::http::layers::{Door, guarded, watched};
use broker::http::tls::Certificate;
use broker::system::System;
use broker::telemetry::{Config, Telemetry};
use domain::refusal::{Code, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Knows who sends the header `known`.
#[derive(Debug)]
struct Known;

impl Vouch for Known {
    fn vouch<'a>(&'a self, head: &'a mut Parts, _: uuid::Uuid) -> Vouched<'a> {
        let known = head.headers.contains_key("known");
        Box::pin(async move { if known { Ok(()) } else { Err(Refusal::new(Code::SessionMissing).into()) } })
    }
}

/// What the tests wait for at most; each deadline under test is a small part of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

pub(super) const SHORT: EdgeLimits = EdgeLimits {
    connections: 64,
    per_address: 64,
    handshake: Duration::from_millis(300),
    headers: Duration::from_millis(300),
    header_count: 32,
    header_bytes: 16 * 1024,
    answer: Duration::from_millis(400),
    drain: Duration::from_secs(2),
};

pub(super) struct House {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) serving: JoinHandle<()>,
    /// Requests to `/gated` that have come in; they go on when a permit is added.
    pub(super) entered: Arc<AtomicUsize>,
    pub(super) gate: Arc<Semaphore>,
}

impl House {
    pub(super) async fn start(limits: EdgeLimits, in_flight: usize, tls: Option<Arc<Certificate>>) -> Self {
        Self::with_deadline(limits, in_flight, tls, Duration::from_millis(900)).await
    }

    pub(super) async fn with_deadline(
        limits: EdgeLimits,
        in_flight: usize,
        tls: Option<Arc<Certificate>>,
        deadline: Duration,
    ) -> Self {
        broker::app::install_providers();
        let quiet = Config { level: "off".to_owned(), ..Config::default() };
        let metrics = Telemetry::start(&quiet, "test").unwrap().metrics;
        let door = |large| Door {
            system: System::real().0,
            metrics: metrics.clone(),
            in_flight: Arc::new(Semaphore::new(in_flight)),
            deadline,
            large,
        };
        let large = Large::new(256 * 1024, Duration::from_millis(300), 2, Arc::new(Known));
        let sets = Router::new().route("/large", post(|body: Bytes| async move { body.len().to_string() }));
        let sets = watched(sets, Arc::new(door(Some(large))));
        let (entered, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, wait) = (entered.clone(), gate.clone());
        let router = Router::new()
            .route(
                "/gated",
                get(|| async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    wait.acquire().await.unwrap().forget();
                    "done"
                }),
            )
            .route("/hello", get(|| async { "hello" }))
            .route("/echo", post(|body: Bytes| async move { body }))
            .route("/big", get(|| async { "x".repeat(4 << 20) }))
            .route("/panic", get(|| async { std::hint::black_box(None::<&'static str>).unwrap() }))
            .route("/stuck", get(std::future::pending::<&str>));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = guarded(router, Arc::new(door(None))).merge(sets);
        let edge = Edge { name: "test", listener, tls, router, limits, metrics };
        let serving = tokio::spawn(edge.serve(stop.clone()));
        Self { address, stop, serving, entered, gate }
    }

    pub(super) async fn short() -> Self {
        Self::start(SHORT, 16, None).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until so many requests stand before the gate.
    pub(super) async fn gathered(&self, count: usize) {
        let waiting = async {
            while self.entered.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }

    /// Sends `bytes` on a connection of its own and reads until the other side closes it.
    pub(super) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // Whoever is refused early may not be read to the end.
        let _ = stream.write_all(bytes.as_ref()).await;
        to_the_end(&mut stream).await
    }

    /// One request whose connection ends with it.
    pub(super) async fn get(&self, path: &str) -> String {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }
}

/// Everything until the connection ends, however it does; panics if it does not.
pub(super) async fn to_the_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "still open, after {:?}", String::from_utf8_lossy(&all));
    String::from_utf8_lossy(&all).into_owned()
}

/// One answer of a connection that stays open; its body has the length that it says.
pub(super) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let reading = async {
        let mut all = Vec::new();
        while !all.ends_with(b"\r\n\r\n") {
            all.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(all).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        head + &String::from_utf8(body).unwrap()
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap()
}

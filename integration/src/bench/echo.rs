//! An answer that costs nothing but the way to it: the broker's own edge with its TLS, in front of a handler that gives back
//! what it got. It runs as a process of its own, so that its CPU time can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::routing::post;
use broker::http::edge::{Edge, EdgeLimits};
use broker::http::tls::Certificate;
use broker::telemetry::{self, Telemetry};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::ground::{Ground, free_address};

/// The echo server as its own process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Echo {
    pub address: SocketAddr,
    pub pid: u32,
    _child: Child,
}

/// What the process is started with.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    cert: PathBuf,
    #[arg(long)]
    key: PathBuf,
}

impl Echo {
    pub async fn start(ground: &Ground) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo", "--listen", &address.to_string(), "--cert"]).arg(ground.path("tls.pem"));
        command.arg("--key").arg(ground.path("tls.key")).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("the echo server cannot be started")?;
        let pid = child.id().context("the echo server ended at once")?;
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(Self { address, pid, _child: child });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the echo server does not answer")
    }
}

/// Serves until killed.
pub async fn serve(serve: Serve) -> Result<()> {
    let config = telemetry::Config { level: "warn".to_owned(), ..telemetry::Config::default() };
    let telemetry = Telemetry::start(&config, env!("CARGO_PKG_VERSION"))?;
    let edge = Edge {
        name: "echo",
        listener: TcpListener::bind(serve.listen).await?,
        tls: Some(Arc::new(Certificate::load(&serve.cert, &serve.key, false)?)),
        router: Router::new().route("/api/v1/exchange", post(|body: String| async { body })),
        limits: EdgeLimits { per_address: 4096, ..EdgeLimits::default() },
        metrics: telemetry.metrics.clone(),
    };
    edge.serve(CancellationToken::new()).await;
    Ok(())
}

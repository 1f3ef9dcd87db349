//! The issuer's HTTPS door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::documents;
use super::profiles::Kind;
use super::{Issuer, Job};
use crate::dev::authority::Leaf;

pub(super) const REQUEST_PATH: &str = "/_apis/pipelines/idtoken";
const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(3);
const FIRST_BYTES: Duration = Duration::from_secs(5);

impl Issuer {
    /// Serves until `stop` is cancelled.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, leaf: &Leaf, stop: CancellationToken) -> Result<()> {
        let acceptor = TlsAcceptor::from(Arc::new(tls(leaf)?));
        let routes = routes(self);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of file descriptors, most likely: give the others time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            let (acceptor, routes, stop) = (acceptor.clone(), routes.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = connection(acceptor, stream, routes.layer(Extension(Peer(peer)))) => {}
                }
                drop(permit);
            });
        }
    }
}

#[derive(Clone, Copy)]
struct Peer(SocketAddr);

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, routes: Router) {
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(FIRST_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the development issuer ended early");
    }
}

fn tls(leaf: &Leaf) -> Result<ServerConfig> {
    let chain =
        CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect::<Result<Vec<_>, _>>().context("bad certificate")?;
    let key = PrivateKeyDer::from_pem_slice(leaf.key.expose().as_bytes()).context("bad key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn routes(issuer: Arc<Issuer>) -> Router {
    let mut routes = Router::new();
    for kind in Kind::ALL {
        let discovery = documents::discovery(kind, &issuer.base);
        let prefix = documents::issuer_url(kind, "");
        routes = routes.route(&format!("{prefix}/.well-known/openid-configuration"), document(discovery));
        let keys = issuer.keys(kind).document();
        routes = match kind {
            Kind::Github => routes.route(&format!("{prefix}/.well-known/jwks"), document(keys)),
            Kind::Gitlab => routes.route("/oauth/discovery/keys", document(keys.clone())).route("/-/jwks", document(keys)),
            Kind::Generic => routes.route(&format!("{prefix}/keys"), document(keys)),
        };
    }
    routes
        .route("/healthz", get(|| async { "ok" }))
        .route(REQUEST_PATH, get(id_token))
        .route("/jobs", post(new_job))
        .route("/tokens", post(new_token))
        .with_state(issuer)
}

fn document(body: Value) -> axum::routing::MethodRouter<Arc<Issuer>> {
    get(move || {
        let body = body.clone();
        async move { Json(body) }
    })
}

#[derive(Deserialize)]
struct IdTokenQuery {
    #[serde(rename = "api-version")]
    api_version: Option<String>,
    audience: Option<String>,
}

async fn id_token(State(issuer): State<Arc<Issuer>>, Query(query): Query<IdTokenQuery>, headers: HeaderMap) -> Response {
    // The URL comes with its version; a client that appends "?audience=" instead of "&audience=" damages it.
    if query.api_version.as_deref() != Some("2.0") {
        return failure(StatusCode::BAD_REQUEST, "api-version=2.0 is missing from the query");
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let Some(request_token) = bearer else { return failure(StatusCode::UNAUTHORIZED, "the request token is missing") };
    match issuer.answer(request_token, query.audience.as_deref()) {
        None => failure(StatusCode::UNAUTHORIZED, "the request token is not valid"),
        Some(Ok(token)) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "count": 1, "value": token.expose() }))).into_response()
        }
        Some(Err(error)) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    kind: Kind,
    #[serde(default)]
    claims: Map<String, Value>,
    audience: Option<String>,
}

impl Order {
    /// Reads an order of someone on this machine.
    fn read(peer: Peer, body: &Bytes) -> Result<Self, (StatusCode, String)> {
        if !peer.0.ip().to_canonical().is_loopback() {
            return Err((StatusCode::FORBIDDEN, "only this machine may order tokens".to_owned()));
        }
        serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
    }
}

async fn new_job(State(issuer): State<Arc<Issuer>>, Extension(peer): Extension<Peer>, body: Bytes) -> Response {
    let order = match Order::read(peer, &body) {
        Ok(order) => order,
        Err((status, message)) => return failure(status, &message),
    };
    if order.kind != Kind::Github {
        return failure(StatusCode::BAD_REQUEST, "only jobs on GitHub ask for their tokens; order one at /tokens");
    }
    answer(issuer.job(&order.claims).map(Json::<Job>))
}

async fn new_token(State(issuer): State<Arc<Issuer>>, Extension(peer): Extension<Peer>, body: Bytes) -> Response {
    let order = match Order::read(peer, &body) {
        Ok(order) => order,
        Err((status, message)) => return failure(status, &message),
    };
    let token = issuer.token(order.kind, &order.claims, order.audience.as_deref());
    answer(token.map(|token| Json(json!({ "token": token.expose() }))))
}

fn answer(result: Result<impl IntoResponse>) -> Response {
    match result {
        Ok(body) => ([(header::CACHE_CONTROL, "no-store")], body).into_response(),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn failure(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

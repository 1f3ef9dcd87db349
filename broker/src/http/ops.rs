//! Health and metrics, on a listener of their own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};

use crate::service::readiness::Readiness;

#[derive(Debug)]
struct Ops {
    registry: Registry,
    readiness: Readiness,
}

/// `/healthz` (the process answers), `/readyz` (it may be sent traffic), `/metrics` (Prometheus text).
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    let ops = Arc::new(Ops { registry, readiness: readiness.clone() });
    Router::new().route("/metrics", get(metrics)).with_state(ops).merge(health(readiness))
}

/// `/healthz` and `/readyz` alone, for the listeners that a load balancer reaches. They tell nothing else.
pub fn health(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.check() {
        Ok(()) => {
            let hold = readiness.is_on_hold().then_some("on hold: taking back waits for `daypass lease resume`\n");
            let policy = readiness.has_refused_policy();
            let policy = policy.then_some("a newer policy set cannot be used, the one before decides: the log tells why\n");
            ["ready\n", hold.unwrap_or_default(), policy.unwrap_or_default()].concat().into_response()
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Response {
    match TextEncoder::new().encode_to_string(&ops.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, ready = ops.readiness.check().is_ok(), "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

//! The native front door: JSON in, JSON out.

pub(super) mod exchange;
pub(super) mod leases;
pub(super) mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

pub use exchange::Native;
pub(super) use exchange::answer;
pub(super) use leases::entry as lease_entry;

/// The routes that CI jobs use.
pub fn router(native: Native) -> Router {
    Router::new()
        .route("/api/v1/exchange", post(exchange::exchange))
        .route("/api/v1/session/credentials", post(sessions::credentials))
        .route("/api/v1/session", delete(sessions::end))
        .route("/api/v1/whoami", get(sessions::whoami))
        .route("/api/v1/leases", get(leases::list))
        .route("/api/v1/leases/{id}", delete(leases::release))
        .route("/api/v1/leases/{id}/renew", post(leases::renew))
        .with_state(Arc::new(native))
}

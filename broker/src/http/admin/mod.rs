//! The operators' front door, on a listener of its own. Every route asks for a right; every act is remembered.

pub(super) mod audit;
pub(super) mod bootstrap;
pub(super) mod explain;
pub(super) mod reconcile;
pub(super) mod secrets;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::service::audit::Audit;
use crate::service::explain::Explain;
use crate::service::operators::Operators;
use crate::service::reconcile::Reconcile;
use crate::service::secrets::Secrets;
use crate::service::sessions::Sessions;

/// The services behind the operators' door.
#[derive(Clone, Debug)]
pub struct Admin {
    pub sessions: Sessions,
    pub operators: Operators,
    pub secrets: Secrets,
    pub audit: Audit,
    pub explain: Explain,
    pub reconcile: Reconcile,
}

/// What jobs may do with the stored secrets that their role reaches, for the native listener.
pub fn secrets_of_jobs(admin: Admin) -> Router {
    let admin = Admin { secrets: admin.secrets.of_jobs(), ..admin };
    Router::new()
        .route("/api/v1/secrets/{mount}/{*path}", get(secrets::read).put(secrets::write))
        .route("/api/v1/secrets/{mount}", get(secrets::list_mount))
        .with_state(Arc::new(admin))
}

pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/api/v1/bootstrap", post(bootstrap::bootstrap))
        .route(
            "/api/v1/secrets/{mount}/{*path}",
            get(secrets::read).put(secrets::write).delete(secrets::delete).post(secrets::roll_back),
        )
        .route("/api/v1/secrets/{mount}", get(secrets::list_mount))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/explain/{decision}", get(explain::explain))
        .route("/api/v1/reconcile", post(reconcile::reconcile))
        .route("/api/v1/resume", post(reconcile::resume))
        .with_state(Arc::new(admin))
}

//! The operators' front door, on a listener of its own. Every route asks for a right; every act is remembered.

pub(super) mod audit;
pub(super) mod bootstrap;
pub(super) mod decisions;
pub(super) mod explain;
pub(super) mod leases;
pub(super) mod policies;
pub(super) mod reconcile;
pub(super) mod secrets;
pub(super) mod stops;
pub(super) mod switches;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::service::audit::Audit;
use crate::service::decisions::Decisions;
use crate::service::explain::Explain;
use crate::service::inventory::Inventory;
use crate::service::operators::Operators;
use crate::service::policies::Versions;
use crate::service::reconcile::Reconcile;
use crate::service::secrets::Secrets;
use crate::service::sessions::Sessions;
use crate::service::switches::Switches;

/// The services behind the operators' door.
#[derive(Clone, Debug)]
pub struct Admin {
    pub sessions: Sessions,
    pub operators: Operators,
    pub secrets: Secrets,
    pub audit: Audit,
    pub decisions: Decisions,
    pub explain: Explain,
    pub inventory: Inventory,
    pub reconcile: Reconcile,
    pub versions: Versions,
    pub switches: Switches,
}

/// What jobs may do with the stored secrets that their role reaches, for the native listener.
pub fn secrets_of_jobs(admin: Admin) -> Router {
    let admin = Admin { secrets: admin.secrets.of_jobs(), ..admin };
    Router::new()
        .route("/api/v1/secrets/{mount}/{*path}", get(secrets::read).put(secrets::write))
        .route("/api/v1/secrets/{mount}", get(secrets::list_mount))
        .with_state(Arc::new(admin))
}

/// Versions of the policy set, whose bodies may be larger than others.
pub fn policies_of_operators(admin: Admin) -> Router {
    Router::new()
        .route("/api/v1/policies", get(policies::list).post(policies::apply))
        .route("/api/v1/policies/shadow", delete(policies::clear_shadow))
        .route("/api/v1/policies/{hash}", get(policies::show))
        .route("/api/v1/policies/{hash}/activate", post(policies::activate))
        .route("/api/v1/policies/{hash}/approve", post(policies::approve))
        .route("/api/v1/policies/{hash}/withdraw", post(policies::withdraw))
        .with_state(Arc::new(admin))
}

pub use policies::bodies as sets;

pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/api/v1/bootstrap", post(bootstrap::bootstrap))
        .route(
            "/api/v1/secrets/{mount}/{*path}",
            get(secrets::read).put(secrets::write).delete(secrets::delete).post(secrets::roll_back),
        )
        .route("/api/v1/secrets/{mount}", get(secrets::list_mount))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/decisions", get(decisions::list))
        .route("/api/v1/explain/{decision}", get(explain::explain))
        .route("/api/v1/operator/leases/search", post(leases::search))
        .route("/api/v1/operator/leases/revoke", post(leases::revoke))
        .route("/api/v1/operator/leases/find", post(leases::find))
        .route("/api/v1/operator/leases/{id}", get(leases::show))
        .route("/api/v1/operator/leases/{id}/renew", post(leases::renew))
        .route("/api/v1/operator/revocations/{id}", get(leases::revocation))
        .route("/api/v1/operator/stops", get(stops::list).post(stops::kill))
        .route("/api/v1/operator/stops/{id}", delete(stops::lift))
        .route("/api/v1/operator/switches", get(switches::list).post(switches::set))
        .route("/api/v1/operator/given", post(stops::given))
        .route("/api/v1/reconcile", post(reconcile::reconcile))
        .route("/api/v1/resume", post(reconcile::resume))
        .with_state(Arc::new(admin))
}

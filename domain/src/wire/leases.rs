//! `GET /api/v1/leases` and `DELETE /api/v1/leases/{id}`: a session's own leases.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::lease::State;

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct LeaseList {
    pub leases: Vec<LeaseAnswer>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct LeaseAnswer {
    pub id: String,
    pub session_id: String,
    pub role: String,
    /// The name that the role gives the credential.
    pub credential: String,
    pub engine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    pub state: State,
    pub revocable: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub issued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<OffsetDateTime>,
    /// Why it is fenced, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a release.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ReleaseAnswer {
    pub leases: Vec<LeaseAnswer>,
}

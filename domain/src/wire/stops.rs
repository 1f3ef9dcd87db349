//! The kill switch: `/api/v1/operator/stops` on the operators' listener.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::LeaseFilter;

/// Which exchanges are meant; every condition that is there must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopFilter {
    /// The project's immutable id or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The run's or pipeline's id at its issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The issuer's name in the policy set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Asks for a credential of this engine; of what came of earlier ones, sessions that hold one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Tokens that their issuer made before this moment, and what came of them.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub before: Option<OffsetDateTime>,
}

impl StopFilter {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same conditions on leases.
    pub fn leases(&self) -> LeaseFilter {
        LeaseFilter {
            repository: self.repository.clone(),
            run: self.run.clone(),
            role: self.role.clone(),
            issuer: self.issuer.clone(),
            engine: self.engine.clone(),
            issued_before: self.before,
            ..LeaseFilter::default()
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KillRequest {
    /// At least one condition.
    pub filter: StopFilter,
    /// Why, for those who ask later.
    pub reason: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct KillAnswer {
    pub stop: StopAnswer,
    pub sessions_ended: u64,
    /// What is being taken back: `GET /api/v1/operator/revocations/{id}` has the same id as the stop.
    pub leases_asked: u64,
}

/// A stop that an operator has put in place.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct StopAnswer {
    pub id: String,
    pub filter: StopFilter,
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct StopList {
    pub stops: Vec<StopAnswer>,
}

/// What a subject was given, from the audit trail.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GivenSearch {
    /// At least one condition.
    pub filter: StopFilter,
    /// Only what was given before this record (`next` of an earlier answer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct GivenPage {
    /// Newest first.
    pub given: Vec<GivenEntry>,
    /// Where the list goes on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One credential, or one reading of a stored secret.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct GivenEntry {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The credential's name in its role; nothing where a stored secret was read directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    pub engine: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    /// What it was: `mount/path@version` of a stored secret, the login's name, the access key's id.
    pub what: String,
}

//! `GET /api/v1/whoami` and the operators' audit list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Who a session is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct WhoAmI {
    pub session_id: String,
    pub issuer: String,
    pub role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
    /// Operator rights that the role holds.
    pub rights: Vec<String>,
    /// The session's claims, without those that name a person.
    #[schema(value_type = Object)]
    pub claims: serde_json::Value,
}

/// Which records to list; all conditions must hold.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The kind of record, such as `exchange.granted`.
    pub kind: Option<String>,
    pub issuer: Option<String>,
    /// The project's immutable id or its name.
    pub project: Option<String>,
    pub role: Option<String>,
    /// A refusal code.
    pub code: Option<String>,
    /// A decision id, session id or lease id.
    pub about: Option<String>,
    /// At most so many, newest first; 50 unless told, 500 at most.
    pub limit: Option<u32>,
    /// Only records before this one (an id from an earlier answer).
    pub before: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct AuditList {
    pub records: Vec<AuditEntry>,
}

/// What came of a decision at the time, beside its explanation.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct RecordedDecision {
    pub kind: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The refusal code, where it was refused; what is no matter of the policy (a rate, a target) is not explained by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// One record as an operator sees it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct AuditEntry {
    pub id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub kind: String,
    /// SHA-256 leaf hash of the canonical bytes, in hex.
    pub leaf: String,
    /// Every field of the record, by name.
    pub fields: BTreeMap<String, String>,
}

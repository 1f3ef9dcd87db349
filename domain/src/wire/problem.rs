//! The error answer (RFC 9457 problem details).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// `application/problem+json`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Problem {
    /// A stable address for this code, in the refusal list.
    pub r#type: String,
    /// What it means, in one sentence.
    pub title: String,
    pub status: u16,
    /// The stable word; see docs/refusals.md.
    pub code: String,
    /// What to do next.
    pub detail: String,
    /// What the server noticed about the caller's own token or request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The same id as in the audit record and the server's log.
    pub decision_id: String,
    /// The server's clock, to compare with the token's times.
    #[serde(with = "time::serde::rfc3339")]
    pub server_time: OffsetDateTime,
}

//! `POST /api/v1/reconcile` and `POST /api/v1/resume`: the leases beside what the targets really have.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconcileRequest {
    /// Only this connection; all of them unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ReconcileAnswer {
    pub dry_run: bool,
    /// While there is a hold nothing is taken back and nothing is shut or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldAnswer>,
    pub targets: Vec<TargetAnswer>,
}

/// Why taking back waits.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct HoldAnswer {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub reason: String,
}

/// What one target has, beside its leases.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct TargetAnswer {
    pub connection: String,
    pub engine: String,
    /// How many logins of this installation it has; absent where that could not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<u64>,
    /// Logins that no open lease accounts for.
    pub strays: Vec<StrayAnswer>,
    /// Active leases whose login is gone; at most 500 are told.
    pub lost: Vec<LostAnswer>,
    /// How many those are.
    pub lost_count: u64,
    /// Why nothing could be seen or done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct StrayAnswer {
    pub name: String,
    /// The lease that the name was made for, where it is such a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    pub reason: String,
    pub step: StrayStep,
    #[serde(with = "time::serde::rfc3339")]
    pub first_seen: OffsetDateTime,
    /// When the next step is due: the end of being spared, or dropping.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_at: Option<OffsetDateTime>,
    /// Why the step could not be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How far a stray is on its way out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrayStep {
    /// Seen, and nothing done.
    Seen,
    /// Left alone until its own end: the database lost its lease, and somebody may be using it.
    Spared,
    /// Nobody can log in as it any more.
    Quarantined,
    /// Gone.
    Dropped,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct LostAnswer {
    pub lease_id: String,
    pub role: String,
    pub name: String,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ResumeAnswer {
    /// The hold that was ended; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldAnswer>,
}

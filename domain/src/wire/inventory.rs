//! Leases as operators see and handle them: `/api/v1/operator/leases` on their listener, and renewal for holders.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::LeaseAnswer;
use super::exchange::secret_text;
use crate::lease::State;
use crate::secret::Secret;

/// Which leases are meant; every condition that is there must hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseFilter {
    /// A lease id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// A session id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The job's id at its issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The run's or pipeline's id at its issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The project's immutable id or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The issuer's name in the policy set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<OffsetDateTime>,
}

impl LeaseFilter {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The conditions by name, as they were asked.
    pub fn conditions(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("lease", &self.lease),
            ("session", &self.session),
            ("job", &self.job),
            ("run", &self.run),
            ("repository", &self.repository),
            ("role", &self.role),
            ("issuer", &self.issuer),
            ("engine", &self.engine),
            ("connection", &self.connection),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let state = self.state.map(|state| ("state", state.to_string()));
        texts.chain(state).chain(self.issued_before.map(|at| ("issued_before", at.to_string()))).collect()
    }
}

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseSearch {
    pub filter: LeaseFilter,
    /// At most so many, newest first; 100 unless told, 1000 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only leases after this one in the list (`next` of an earlier answer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct LeasePage {
    pub leases: Vec<LeaseDetail>,
    /// Where the list goes on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whose a lease is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionView {
    pub id: String,
    pub issuer: String,
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<OffsetDateTime>,
}

/// A lease with everything that an operator may know of it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct LeaseDetail {
    #[serde(flatten)]
    pub lease: LeaseAnswer,
    /// The name in the target, never reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How often it was tried to take it back.
    pub tries: u32,
    /// When it is tried again; while a worker has it in hand, when another one would take over.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_try: Option<OffsetDateTime>,
    /// A worker is at it.
    pub in_hand: bool,
    /// Since when it is to be gone.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub wanted_at: Option<OffsetDateTime>,
    pub session: SessionView,
}

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RevokeRequest {
    /// At least one condition.
    pub filter: LeaseFilter,
    /// Where an earlier answer left off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct RevokeAnswer {
    /// What became of it: `GET /api/v1/operator/revocations/{id}`.
    pub revocation: String,
    /// Leases that were asked back by this request.
    pub asked: u64,
    /// Leases that the filter meets and that had ended before.
    pub already_gone: u64,
    /// There are more: send the same request with `revocation` and this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How far a revocation is.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct RevocationProgress {
    pub total: u64,
    pub revoked: u64,
    /// Being taken back, and nothing has failed.
    pub going: u64,
    /// Being taken back again and again.
    pub failing: u64,
    pub reasons: Vec<Failing>,
    /// Leases that no target takes back: they end by their own clock.
    pub irrevocable: u64,
    /// The first hundred of those.
    pub living_on: Vec<LeaseDetail>,
}

impl RevocationProgress {
    /// Whether nothing more is to be expected soon.
    pub const fn is_settled(&self) -> bool {
        self.going == 0
    }
}

/// Why leases of a revocation could not be taken back yet.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Failing {
    pub reason: String,
    pub leases: u64,
    /// The first of their next tries.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub next_try: Option<OffsetDateTime>,
}

#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RenewRequest {
    /// How long from now, such as `15m`; it can only shorten what the policy allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct RenewAnswer {
    pub lease: LeaseAnswer,
    /// What keeps it from lasting longer: `request`, `credential`, `role`, `engine`, `job` or `session`.
    pub limited_by: String,
}

/// The string that was found. It is compared and forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindRequest {
    #[schema(value_type = String)]
    #[serde(deserialize_with = "secret_text")]
    pub text: Secret<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct FindAnswer {
    /// Empty when this broker has handed out no such thing, or has forgotten it.
    pub found: Vec<FoundOwner>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct FoundOwner {
    /// `session token`, `upstream name` or `credential`.
    pub what: String,
    pub session: SessionView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseDetail>,
}

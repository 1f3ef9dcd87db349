//! Versions of the policy set: `/api/v1/policies` on the operators' listener. A set goes by its hash, in hexadecimal.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A whole set to check and put in place.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyPush {
    pub files: Vec<PolicyFile>,
    pub terms: PolicyTerms,
    /// Have it look on and decide nothing.
    pub shadow: bool,
}

/// How a set is put in place.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyTerms {
    /// The set that the change was made from: refused where another is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only tell what would happen.
    pub dry_run: bool,
    /// Even where the caller cannot change the policy any more afterwards.
    pub lock_out: bool,
}

/// One file of a set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Relative to the set's folder, with `/` between segments.
    pub path: String,
    pub text: String,
}

/// What became of a set.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOutcome {
    /// It is sound; nothing was changed.
    Sound,
    /// It is active already.
    Unchanged,
    Activated,
    /// It waits for a second operator.
    Proposed,
    /// It looks on.
    Shadowed,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyPushed {
    pub hash: String,
    pub outcome: PolicyOutcome,
    /// The set that was active before.
    pub was: String,
    /// What the change adds, for which a second operator may be needed.
    pub adds: Vec<String>,
    /// Whether a second operator is needed before it can become active.
    pub needs_approval: bool,
}

/// What is active, what was, and what waits.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyList {
    /// The set that decides at this broker process.
    pub active: String,
    /// `folder` or `database`.
    pub source: String,
    /// The set that looks on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    pub proposals: Vec<PolicyProposal>,
    /// The latest that were taken back before anybody approved them, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<PolicyWithdrawal>,
    /// The latest activations, the newest first.
    pub activations: Vec<PolicyActivation>,
}

/// A set that waits for a second operator.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyProposal {
    pub hash: String,
    pub author: PolicyAuthor,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why it waits.
    pub reason: String,
    /// Another set has become active since: it has to be applied again.
    pub stale: bool,
}

/// A set that waited until it was taken back.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyWithdrawal {
    pub hash: String,
    pub author: PolicyAuthor,
    #[serde(with = "time::serde::rfc3339")]
    pub proposed_at: OffsetDateTime,
    /// Why it waited.
    pub reason: String,
    /// Who took it back.
    pub by: PolicyAuthor,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// A time when a set became the active one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyActivation {
    pub hash: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where it came from.
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<PolicyAuthor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<PolicyAuthor>,
}

/// Who did it: as the token names it, with the session that the audit trail knows more of.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyAuthor {
    pub name: String,
    pub session_id: String,
}

/// One stored set.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyDetail {
    pub hash: String,
    /// It decides at this broker process.
    pub active: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub stored_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<PolicyProposal>,
    /// When it was taken back, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<PolicyWithdrawal>,
    pub activations: Vec<PolicyActivation>,
    pub files: Vec<PolicyFile>,
}

/// The set that looks on, if there is one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct PolicyShadow {
    pub shadow: Option<String>,
}

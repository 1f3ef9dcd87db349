//! What is switched off by name: `/api/v1/operator/switches`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Switches an issuer or a role off, or on again. Exactly one is named.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchRequest {
    /// The issuer's name in the policy set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Off, or on again.
    pub disabled: bool,
    /// Why, for those who ask later.
    pub reason: String,
    /// Even where the caller got in by what it switches off.
    pub lock_out: bool,
}

/// Every issuer and role of the active policy set, and what is switched off beside.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SwitchList {
    pub issuers: Vec<IssuerState>,
    pub roles: Vec<RoleState>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct IssuerState {
    pub name: String,
    pub kind: String,
    pub url: String,
    /// What the policy set says.
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct RoleState {
    pub name: String,
    /// The issuers whose tokens can become it.
    pub issuers: Vec<String>,
    /// Only rehearsed, the policy set says.
    pub shadow: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

/// Since when an operator has it switched off, and why.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Disabled {
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub reason: String,
    /// The session of the operator who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

//! `POST /api/v1/exchange` and `POST /api/v1/session/credentials`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::secret::Secret;

/// What a CI job sends. The token travels in the body, never in a URL or a header.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The OIDC token exactly as the CI system signed it.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "secret_text")]
    pub token: Secret<String>,
    /// The role wanted; may be left out when the token can become exactly one.
    #[serde(default)]
    pub role: Option<String>,
    /// Credentials of the role, by name; none means all of them.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Wanted time to live, such as `"15m"` or `"1h"`. It can only shorten what the policy allows.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// What a session sends to get more credentials of its role.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionAsk {
    /// Credentials of the role, by name; none means all of them.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Wanted time to live, such as `"15m"`.
    #[serde(default)]
    pub ttl: Option<String>,
    /// What a credential needs from the caller beside its parameters, by credential name: for kv with a glob, the path.
    #[serde(default)]
    pub input: BTreeMap<String, serde_json::Value>,
}

/// The answer to a granted exchange. It is never cached and never stored.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ExchangeAnswer {
    /// The decision's id: the same in the audit record and in the server's log.
    pub decision_id: String,
    pub role: String,
    pub session: SessionAnswer,
    /// By the name that the role gives them.
    pub credentials: BTreeMap<String, CredentialAnswer>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionAnswer {
    pub id: String,
    /// For later asks, release and `whoami`; send it as `Authorization: Bearer`. Only in the answer to an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
}

/// One credential. `values` holds what the engine made, by field name.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct CredentialAnswer {
    pub engine: String,
    /// Absent where nothing was leased (a stored secret).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_id: Option<String>,
    pub values: BTreeMap<String, String>,
    /// When it ends; absent for a stored secret, which does not end.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
    /// Seconds it was granted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// Which limit decided the time to live: request, credential, role, engine, job or session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_limited_by: Option<String>,
    /// Whether it can be taken back before it ends.
    pub revocable: bool,
}

fn secret_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

//! `POST /api/v1/exchange` and `POST /api/v1/session/credentials`.

use std::collections::BTreeMap;
use std::fmt;

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
    /// Credentials of the role, by name; none means all of them but secrets that need a path or are not to be read.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Wanted time to live, such as `"15m"` or `"1h"`. It can only shorten what the policy allows.
    #[serde(default)]
    pub ttl: Option<String>,
    /// Only open a session; its credentials are asked for later, with its token.
    #[serde(default)]
    pub session_only: bool,
}

/// What the first operator of an installation sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BootstrapRequest {
    /// The token as `daypass-broker operator bootstrap` printed it.
    #[schema(value_type = String)]
    #[serde(deserialize_with = "secret_text")]
    pub token: Secret<String>,
}

/// What a session sends to get more credentials of its role.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionAsk {
    /// Credentials of the role, by name; none means all of them but secrets that need a path or are not to be read.
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

#[derive(Deserialize, Serialize, ToSchema)]
pub struct SessionAnswer {
    pub id: String,
    /// For later asks, release and `whoami`; send it as `Authorization: Bearer`. Only in the answer to an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
}

/// One credential. `values` holds what the engine made, by field name.
#[derive(Deserialize, Serialize, ToSchema)]
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
    /// Which limit decided the time to live: request, credential, role, engine, job, session or target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_limited_by: Option<String>,
    /// Whether it can be taken back before it ends.
    pub revocable: bool,
}

/// Without the token.
impl fmt::Debug for SessionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAnswer").field("id", &self.id).field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

/// Without the values, of which only the names are told.
impl fmt::Debug for CredentialAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialAnswer")
            .field("engine", &self.engine)
            .field("lease_id", &self.lease_id)
            .field("values", &self.values.keys())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

pub(super) fn secret_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_a_log_holds_no_secret() {
        let answer: ExchangeAnswer = serde_json::from_str(
            r#"{"decision_id": "d", "role": "r", "session": {"id": "s", "token": "dps_hidden", "ends_at": "2026-01-01T00:00:00Z"},
                "credentials": {"db": {"engine": "postgres", "values": {"password": "hidden too"}, "revocable": true}}}"#,
        )
        .unwrap();
        let text = format!("{answer:?}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("password"), "the names help: {text}");
    }
}

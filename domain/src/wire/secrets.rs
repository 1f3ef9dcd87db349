//! Stored secrets: `/api/v1/secrets/{mount}/{path}` on the operator listener.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A new version of a secret.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretWrite {
    /// The secret: a JSON object.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// Write only if this is the current version; 0 means that the secret must not exist yet.
    #[serde(default)]
    pub cas: Option<u32>,
    /// Notes beside the secret, in clear.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl std::fmt::Debug for SecretWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretWrite").field("cas", &self.cas).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SecretWritten {
    pub version: u32,
}

/// One version of a secret.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct SecretAnswer {
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    pub version: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl std::fmt::Debug for SecretAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretAnswer").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The paths directly below a prefix; those that go on end in `/`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SecretList {
    pub paths: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SecretHistory {
    pub current: u32,
    pub metadata: BTreeMap<String, String>,
    pub versions: Vec<SecretVersion>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct SecretVersion {
    pub version: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<OffsetDateTime>,
    pub destroyed: bool,
}

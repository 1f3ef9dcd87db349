//! What a connection says about making logins.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{EngineError, statement};
use crate::store::Connection;

/// `[connection.<name>]` beside what every connection has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// How many sessions one login may have at a time.
    #[serde(default = "four")]
    pub(super) connection_limit: NonZeroU32,
    /// Certificates that the server's certificate is checked against.
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    /// Whether the server takes the login over TLS only.
    #[serde(default)]
    pub(super) require_ssl: bool,
    /// Statement sets by name.
    #[serde(default)]
    statements: BTreeMap<String, StatementSet>,
}

/// What gives one kind of login its rights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementSet {
    /// Run while the account is still locked: `grant select on shop.* to {{name}}`.
    pub(super) create: Vec<String>,
    /// Run before the account is dropped, for what dropping alone does not undo.
    #[serde(default)]
    pub(super) revoke: Vec<String>,
}

fn four() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

impl Settings {
    /// Reads a connection's settings. Whatever is wrong with a statement is said here, not when it runs.
    pub(super) fn of(connection: &Connection) -> Result<Self, EngineError> {
        let wrong = |what: String| EngineError::Misconfigured(format!("connection `{}`: {what}", connection.name));
        let settings = Self::deserialize(Value::Object(connection.settings.clone())).map_err(|error| wrong(error.to_string()))?;
        for (name, set) in &settings.statements {
            for statement in set.create.iter().chain(&set.revoke) {
                statement::check(statement).map_err(|what| wrong(format!("statements `{name}`: {what}: `{statement}`")))?;
            }
        }
        Ok(settings)
    }

    pub(super) fn statements(&self, name: &str) -> Result<&StatementSet, EngineError> {
        self.statements.get(name).ok_or_else(|| {
            let known = self.statements.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            EngineError::Misconfigured(format!("the connection has no statements `{name}`; it has: {known}"))
        })
    }

    /// The statements to run before an account is dropped, if the set is still there.
    pub(super) fn revoking(&self, name: &str) -> &[String] {
        self.statements.get(name).map_or(&[], |set| &set.revoke)
    }
}

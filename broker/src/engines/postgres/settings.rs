//! What a connection says about making logins.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{EngineError, statement};
use crate::crypto::scram;
use crate::store::Connection;

/// How many bytes of a name PostgreSQL keeps.
const NAME: usize = 63;

/// `[connection.<name>]` beside what every connection has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// How many sessions one login may have at a time.
    #[serde(default = "four")]
    pub(super) connection_limit: NonZeroU32,
    /// Rounds of the password verifier. With passwords of 256 random bits fewer than the usual 4096 only help: the server
    /// itself runs them once for every role that is made. Some clients refuse fewer.
    #[serde(default = "rfc_rounds")]
    pub(super) scram_iterations: NonZeroU32,
    /// Certificates that the server's certificate is checked against.
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    /// The role that receives what a login leaves behind. Without it, that is dropped.
    #[serde(default)]
    pub(super) reassign_to: Option<String>,
    /// Statement sets by name.
    #[serde(default)]
    statements: BTreeMap<String, StatementSet>,
}

/// What gives one kind of login its rights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementSet {
    /// Run after the role is made, in the same transaction: `grant shop_readwrite to {{name}}`.
    pub(super) create: Vec<String>,
    /// Run before the role is dropped, for what dropping alone does not undo.
    #[serde(default)]
    pub(super) revoke: Vec<String>,
    /// Where both run. Without it, in the connection's own database.
    #[serde(default)]
    pub(super) databases: Vec<String>,
}

fn four() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

fn rfc_rounds() -> NonZeroU32 {
    scram::RFC_ROUNDS
}

impl Settings {
    /// Reads a connection's settings. Whatever is wrong with a statement is said here, not when it runs.
    pub(super) fn of(connection: &Connection) -> Result<Self, EngineError> {
        let wrong = |what: String| EngineError::Misconfigured(format!("connection `{}`: {what}", connection.name));
        let settings = Self::deserialize(Value::Object(connection.settings.clone())).map_err(|error| wrong(error.to_string()))?;
        // The server would cut a longer one, and hand everything to somebody else.
        if settings.reassign_to.as_ref().is_some_and(|heir| heir.is_empty() || heir.len() > NAME) {
            return Err(wrong(format!("`reassign_to` is no name of a role: 1 to {NAME} bytes")));
        }
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

    /// The statements to run before a role is dropped, if the set is still there.
    pub(super) fn revoking(&self, name: &str) -> &[String] {
        self.statements.get(name).map_or(&[], |set| &set.revoke)
    }
}

/// What stands for the role and for its end in a statement, as the server quoted it.
#[derive(Debug)]
pub(super) struct Fill<'a> {
    pub(super) name: &'a str,
    pub(super) expiration: &'a str,
}

impl Fill<'_> {
    /// The statements with the places filled in, each ended by a line of its own so that no comment reaches further.
    pub(super) fn script(&self, statements: &[String]) -> String {
        statements
            .iter()
            .map(|statement| statement.replace("{{name}}", self.name).replace("{{expiration}}", self.expiration) + "\n;\n")
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_in_a_statement_ends_with_its_line() {
        let fill = Fill { name: "dp_x", expiration: "'2026-01-01'" };
        let script = fill.script(&["grant a to {{name}} -- why".to_owned(), "grant b to {{name}}".to_owned()]);
        assert_eq!(script, "grant a to dp_x -- why\n;\ngrant b to dp_x\n;\n");
    }
}

//! Finding the connection that a role's parameters name.

use std::sync::Arc;

use domain::policy::Glob;

use super::engine::{Bench, EngineError};
use crate::store::Connection;

/// The connection called `name`, if it belongs to `engine`.
pub(super) fn connection(bench: &Bench, engine: &str, name: &str) -> Result<Arc<Connection>, EngineError> {
    let connection =
        bench.connections.get(name).ok_or_else(|| EngineError::Misconfigured(format!("there is no connection `{name}`")))?;
    belongs(&connection, engine)?;
    Ok(connection)
}

/// The same, if `role` may use it.
pub(super) fn connection_for(bench: &Bench, engine: &str, name: &str, role: &str) -> Result<Arc<Connection>, EngineError> {
    let connection = connection(bench, engine, name)?;
    serves(&connection, role)?;
    Ok(connection)
}

/// Refuses a connection of another engine.
pub(super) fn belongs(Connection { name, engine: own, .. }: &Connection, engine: &str) -> Result<(), EngineError> {
    if own == engine {
        return Ok(());
    }
    Err(EngineError::Misconfigured(format!("connection `{name}` is one of engine `{own}`, not of `{engine}`")))
}

/// Refuses a connection that `role` may not use.
pub(super) fn serves(connection: &Connection, role: &str) -> Result<(), EngineError> {
    if connection.allowed_roles.iter().any(|pattern| fits(pattern, role)) {
        return Ok(());
    }
    let name = &connection.name;
    Err(EngineError::Misconfigured(format!("role `{role}` is not among the `allowed_roles` of connection `{name}`")))
}

/// Whether `name` is the name or fits the glob. What is no glob fits nothing.
fn fits(pattern: &str, name: &str) -> bool {
    Glob::new(pattern).is_ok_and(|glob| glob.matches(name, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_fits_by_name_or_glob() {
        for (pattern, name, expected) in [
            ("shop-deploy", "shop-deploy", true),
            ("shop-deploy", "shop-deploy2", false),
            ("shop-*", "shop-deploy", true),
            ("*", "anything", true),
            ("", "shop", false),
            ("shop-[a-z]", "shop-a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} against {name}");
        }
    }
}

//! Finding the connection that a role's parameters name.

use std::sync::Arc;

use super::engine::{Bench, EngineError};
use crate::store::Connection;

/// The connection called `name`, if it belongs to `engine`.
pub(super) fn connection(bench: &Bench, engine: &str, name: &str) -> Result<Arc<Connection>, EngineError> {
    let connection =
        bench.connections.get(name).ok_or_else(|| EngineError::Misconfigured(format!("there is no connection `{name}`")))?;
    if connection.engine == engine {
        Ok(connection)
    } else {
        Err(EngineError::Misconfigured(format!(
            "connection `{name}` is one of engine `{}`, not of `{engine}`",
            connection.engine
        )))
    }
}

/// The same, if `role` may use it.
pub(super) fn connection_for(bench: &Bench, engine: &str, name: &str, role: &str) -> Result<Arc<Connection>, EngineError> {
    let connection = connection(bench, engine, name)?;
    if connection.allowed_roles.iter().any(|pattern| matches(pattern, role)) {
        Ok(connection)
    } else {
        Err(EngineError::Misconfigured(format!("role `{role}` is not among the `allowed_roles` of connection `{name}`")))
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut pieces: Vec<_> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_name_without_a_star_stands_for_itself() {
        assert!(matches("shop-deploy", "shop-deploy"));
        assert!(!matches("shop-deploy", "shop-deploy2"));
        assert!(!matches("", "shop"));
    }

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, name, fits) in [
            ("*", "shop", true),
            ("shop-*", "shop-", true),
            ("shop-*", "shop", false),
            ("*-deploy", "shop-deploy", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("a*a", "a", false),
            ("s*o*p", "shoop", true),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} against {name}");
        }
    }
}

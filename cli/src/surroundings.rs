//! What the process was started with, as a value, so that discovery can be tested without touching the real environment.

use std::collections::BTreeMap;

/// The environment variables. A variable set to nothing counts as not set: CI systems pass undefined inputs that way.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn of_process() -> Self {
        Self(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
        )
    }

    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.var(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a GitHub runner (or one that behaves like it) reads what this process writes.
    pub(crate) fn in_github(&self) -> bool {
        self.is_true("GITHUB_ACTIONS")
    }
}

/// Names only: values of a CI job's environment are secrets more often than not.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(vars: [(&str, &str); N]) -> Self {
        Self(vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

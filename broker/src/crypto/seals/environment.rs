//! The root key in an environment variable, for platforms that hand secrets over in no other way.

use super::seal::{Answer, Root, Seal, SealError, Wrapped};
use crate::crypto::aead::Key256;
use crate::system::System;

/// A root key read from an environment variable once, at start.
#[derive(Debug)]
pub struct Environment {
    variable: String,
    root: Root,
}

impl Environment {
    pub fn read(variable: &str) -> Result<Self, SealError> {
        let text = std::env::var(variable).map_err(|_| SealError::NotSet(variable.to_owned()))?;
        Self::from_value(variable, text)
    }

    /// A root key that was read already; `variable` names it in messages.
    pub fn from_value(variable: &str, text: String) -> Result<Self, SealError> {
        let root = Root::read_text(text.into_bytes())
            .ok_or_else(|| SealError::NotAKey(format!("the environment variable {variable}")))?;
        Ok(Self { variable: variable.to_owned(), root })
    }
}

impl Seal for Environment {
    fn describe(&self) -> String {
        format!("the root key in the environment variable {}", self.variable)
    }

    fn wrap<'a>(&'a self, system: &'a System, whose: Wrapped, key: &'a Key256) -> Answer<'a, Vec<u8>> {
        Box::pin(async move { self.root.wrap(system, whose, key) })
    }

    fn unwrap<'a>(&'a self, whose: Wrapped, wrapped: &'a [u8]) -> Answer<'a, Key256> {
        Box::pin(async move { self.root.unwrap(whose, wrapped).ok_or_else(|| SealError::WrongKey { seal: self.describe() }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_variable_that_is_missing_or_wrong() {
        let missing = Environment::read("DAYPASS_TEST_NOT_SET").unwrap_err();
        assert_eq!(missing.to_string(), "the environment variable DAYPASS_TEST_NOT_SET is not set");
        let wrong = Environment::from_value("ROOT", "secret".to_owned()).unwrap_err().to_string();
        assert!(wrong.contains("variable ROOT") && !wrong.contains("secret"), "{wrong}");
        assert!(Environment::from_value("ROOT", format!("{}\n", "0a1b".repeat(16))).is_ok());
    }
}

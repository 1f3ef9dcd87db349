//! The states of a lease.
//!
//! `pending → active | passive | revoking` · `active → revoking ⇄ fenced` · `revoking → revoked` · `passive → expired`. Nothing
//! else; the statements of the broker's store take these steps, each only from the state that it names. A credential whose target can take it back is *active*; one that only ends by its own clock (AWS STS) is *passive*.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a lease is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Recorded; the credential may or may not have been made.
    Pending,
    /// Handed out, and can be taken back.
    Active,
    /// Handed out, ends by itself, cannot be taken back.
    Passive,
    /// Being taken back.
    Revoking,
    /// The login is dead, but something of it still stands in the target; tried again until it is gone.
    Fenced,
    /// Taken back.
    Revoked,
    /// Ended by itself.
    Expired,
}

impl State {
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Active, Self::Passive, Self::Revoking, Self::Fenced, Self::Revoked, Self::Expired];

    /// Whether a credential may be alive under this lease.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Revoked | Self::Expired)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Revoking => "revoking",
            Self::Fenced => "fenced",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(UnknownState)
    }
}

/// The word is no lease state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a lease state: pending, active, passive, revoking, fenced, revoked or expired")]
pub struct UnknownState;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}

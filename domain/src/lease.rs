//! The states of a lease and the only steps between them.
//!
//! `pending → active → revoking ⇄ fenced → revoked` · `pending → revoked` · `passive → expired`. Nothing else.
//! A credential whose target can take it back is *active*; one that only ends by its own clock (AWS STS) is *passive*.

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

/// What happens to a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The credential was made and can be taken back.
    Activate,
    /// The credential was made and ends by itself.
    Settle,
    /// A worker or a holder begins to take it back.
    BeginRevoking,
    /// The login is dead, the rest could not be removed.
    Fence,
    /// All of it is gone.
    Finish,
    /// Its time is over.
    Expire,
}

/// The step does not exist from this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {from} lease cannot take the step {step:?}")]
pub struct ImpossibleStep {
    pub from: State,
    pub step: Step,
}

impl State {
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Active, Self::Passive, Self::Revoking, Self::Fenced, Self::Revoked, Self::Expired];

    /// The state after `step`.
    pub const fn after(self, step: Step) -> Result<Self, ImpossibleStep> {
        match (self, step) {
            (Self::Pending, Step::Activate) => Ok(Self::Active),
            (Self::Pending, Step::Settle) => Ok(Self::Passive),
            (Self::Pending | Self::Active | Self::Fenced, Step::BeginRevoking) => Ok(Self::Revoking),
            (Self::Revoking, Step::Fence) => Ok(Self::Fenced),
            (Self::Revoking | Self::Fenced | Self::Pending, Step::Finish) => Ok(Self::Revoked),
            (Self::Passive, Step::Expire) => Ok(Self::Expired),
            (from, step) => Err(ImpossibleStep { from, step }),
        }
    }

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
    fn ended_leases_take_no_step() {
        for step in [Step::Activate, Step::Settle, Step::BeginRevoking, Step::Fence, Step::Finish, Step::Expire] {
            assert!(State::Revoked.after(step).is_err());
            assert!(State::Expired.after(step).is_err());
        }
    }

    #[test]
    fn a_passive_lease_only_expires() {
        assert_eq!(State::Passive.after(Step::Expire), Ok(State::Expired));
        assert!(State::Passive.after(Step::BeginRevoking).is_err());
    }

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}

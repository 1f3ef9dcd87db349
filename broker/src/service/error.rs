//! How a service says no, and how it says that something broke.

use domain::refusal::{Code, Refusal};

use crate::engines::engine::EngineError;
use crate::failpoint::Injected;
use crate::store::{Quota, StoreError, WriteError};
use crate::system::NoEntropy;
use crate::telemetry::chain;

/// What a service answers when it does not do what was asked.
#[derive(Debug)]
pub enum Error {
    /// A decision about the caller: public and exact.
    Refused(Refusal),
    /// Something of ours broke: logged with its causes, answered as one opaque line.
    Fault(Fault),
}

/// What broke. Only the log shows it.
#[derive(Debug)]
pub struct Fault(Box<dyn std::error::Error + Send + Sync>);

impl Fault {
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }

    /// The error and its causes, for the log.
    pub fn chain(&self) -> String {
        chain(self.0.as_ref())
    }
}

impl Error {
    /// A record that was not written, for those who expect none of its refusals.
    pub fn from_write(error: WriteError) -> Self {
        match error {
            WriteError::TokenAlreadyUsed { .. } => Code::TokenAlreadyUsed.into(),
            WriteError::Quota(quota) => crowded(quota).into(),
            WriteError::Moved => Refusal::new(Code::CredentialNotAvailable).retry_after(5).into(),
            WriteError::SessionEnded => Code::SessionUnknown.into(),
            WriteError::JobEnded => Code::JobEnded.into(),
            WriteError::Store(error) => error.into(),
        }
    }

    /// The refusal that the caller sees: a fault looks like any other moment of unavailability.
    pub fn public(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Fault(_) => Refusal::new(Code::Unavailable).retry_after(2),
        }
    }
}

/// Too many live leases, with whose limit it is.
pub fn crowded(quota: Quota) -> Refusal {
    Refusal::new(Code::LeaseQuotaExceeded).hint(format!("the limit of the {}", quota.as_str()))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

macro_rules! faults {
    ($($cause:ty),*) => {
        $(impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::Fault(Fault::new(cause))
            }
        })*
    };
}

faults!(StoreError, NoEntropy, Injected, serde_json::Error);

/// An engine's failure as the caller may see it. What the target said is for the operators: log it before converting.
impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => Self::Refused(refusal),
            EngineError::Misconfigured(_) | EngineError::TargetRefused(_) => Self::Refused(Code::TargetRefused.into()),
            EngineError::TargetUnavailable(_) => Self::Refused(Refusal::new(Code::CredentialNotAvailable).retry_after(5)),
            EngineError::Fault(cause) => Self::Fault(Fault(cause)),
        }
    }
}

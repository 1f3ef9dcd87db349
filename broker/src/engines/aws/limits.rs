//! What AWS allows in one `AssumeRole`, checked before the call by the rules that the policy's own checks have.

use std::time::Duration;

use domain::credentials::aws::{LONGEST, SHORTEST, faults};
use domain::refusal::{Code, Refusal};

use super::{EngineError, Params};

/// Refuses a lifetime that AWS cannot give. Too little is the caller's affair: its session may be nearly over.
pub(super) fn lifetime(ttl: Duration) -> Result<(), EngineError> {
    if ttl < SHORTEST {
        return Err(EngineError::Refused(Refusal::new(Code::TtlBelowMinimum)));
    }
    if ttl > LONGEST {
        let (asked, most) = (ttl.as_secs(), LONGEST.as_secs());
        return Err(EngineError::Misconfigured(format!("a session of {asked} s: AWS gives {most} s at most")));
    }
    Ok(())
}

/// Says what does not fit, the session's own name included.
pub(super) fn check(params: &Params, session_name: &str) -> Result<(), EngineError> {
    let named = Params { session_name: Some(session_name.to_owned()), ..params.clone() };
    let wrong: Vec<_> = faults(&named).iter().map(|fault| format!("`{}`: {}", fault.field, fault.message)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(EngineError::Misconfigured(wrong.join("; "))) }
}

//! The question and the answer.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::evaluate::{Wanted, evaluate};
use super::set::PolicySet;
use crate::claims::Claims;
use crate::refusal::Refusal;

/// What a verified token wants to become.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The name of the issuer that verified it.
    pub issuer: &'a str,
    pub claims: &'a Claims,
    pub role: Option<&'a str>,
    /// None means all of the role's but `operator`, and secrets that cannot be read without saying which.
    pub credentials: &'a [String],
    /// A wish; it can only shorten.
    pub ttl: Option<Duration>,
    /// Unix seconds.
    pub now: i64,
}

/// What the policy allows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Allowed {
    pub role: String,
    /// Which row of the role let it in, counted from zero.
    pub row: usize,
    pub credentials: Vec<Planned>,
    pub session_ttl: Duration,
    pub token_uses: u16,
    pub max_leases: u32,
    /// The role is only rehearsed: decide and record, hand out nothing.
    pub shadow: bool,
    /// What the session may do as an operator.
    pub rights: Vec<String>,
}

/// One credential to be made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    pub name: String,
    pub engine: &'static str,
    /// Templates filled.
    pub params: Value,
    pub ttl: Duration,
    /// `request`, `credential`, `role`, `engine`, `job` or `session`; where a target ends it earlier, `target`.
    pub ttl_limited_by: &'static str,
}

/// Decides an ask. The answer depends on nothing but the arguments.
pub fn decide(set: &PolicySet, ask: &Ask<'_>) -> Result<Allowed, Refusal> {
    evaluate(set, ask, Wanted::Credentials { session_ends_at: None }, None)
}

/// Decides a later ask of a session that ends at `session_ends_at` (Unix seconds); no credential is to outlive it.
pub fn decide_in_session(set: &PolicySet, ask: &Ask<'_>, session_ends_at: i64) -> Result<Allowed, Refusal> {
    evaluate(set, ask, Wanted::Credentials { session_ends_at: Some(session_ends_at) }, None)
}

/// Decides the role alone, with its rights: no credential is planned, and none that cannot be made now stands in the way.
pub fn decide_role(set: &PolicySet, ask: &Ask<'_>) -> Result<Allowed, Refusal> {
    evaluate(set, ask, Wanted::RoleAlone, None)
}

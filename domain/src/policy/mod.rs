//! The policy set: who may become what. Parsed once, checked whole, hashed, and then only read.
//!
//! [`PolicySet::load`] reads files, [`decide`] answers an ask, [`explain`] tells why by the same evaluation, [`check`] does
//! all that can be done offline. Places are left for `lint`, `prove`, `diff`, `simulate` and `suggest`.

mod added;
mod check;
mod decide;
pub mod duration;
mod evaluate;
mod explain;
mod glob;
mod load;
mod near;
mod pattern;
mod print;
mod problem;
mod read;
mod set;
mod table;

pub use added::added;
pub use check::{CaseOutcome, Report, check, run_cases};
pub use decide::{Allowed, Ask, Planned, decide, decide_in_session, decide_role};
pub use evaluate::Wanted;
pub use explain::{
    ConditionTrace, CredentialTrace, Explanation, Limit, RoleTrace, RowTrace, SHADOW, VetoTrace, explain, explain_wanted,
};
pub use glob::Glob;
pub use pattern::{Condition, Pattern, Value};
pub use print::print;
pub(crate) use problem::nearest;
pub use problem::{Place, Problem, SourceFile};
pub use set::{Algorithm, Bound, Case, Credential, Expect, Invariant, Issuer, Owner, PolicySet, Role, Row};

#[cfg(test)]
mod tests;

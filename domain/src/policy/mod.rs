//! The policy set: who may become what. Parsed once, checked whole, hashed, and then only read.
//!
//! [`PolicySet::load`] reads files, [`decide`] answers an ask, [`explain`] tells why by the same evaluation, [`check`] does
//! all that can be done offline: it runs the [`lint`]s, the cases and the proofs of [`prove`]. [`diff`] tells what a change lets in,
//! [`simulate`] decides recorded asks once more.

mod check;
mod coverage;
mod decide;
mod door;
pub mod duration;
mod evaluate;
mod explain;
mod finding;
mod glob;
pub mod init;
pub mod lint;
mod load;
mod near;
mod pattern;
mod print;
mod problem;
mod prove;
mod read;
mod rules;
pub mod schema;
mod set;
pub mod simulate;
pub mod suggest;
mod table;

pub use check::{CaseOutcome, Report, check, run_cases};
pub use coverage::{Coverage, RowCoverage, coverage};
pub use decide::{Allowed, Ask, Planned, decide, decide_in_session, decide_role};
pub use door::refused_before;
pub use evaluate::Wanted;
pub use explain::{
    ConditionTrace, CredentialTrace, Explanation, Limit, RoleTrace, RowTrace, SHADOW, VetoTrace, explain, explain_wanted,
};
pub use finding::{Finding, Severity};
pub use glob::Glob;
#[cfg(test)]
pub(crate) use pattern::typed;
pub use pattern::{Condition, Pattern, Value};
pub use print::print;
pub(crate) use problem::nearest;
pub use problem::{Place, Places, Problem, SourceFile};
pub use prove::{
    Ambiguities, Ambiguity, Change, Counterexample, Diff, Difference, Moved, Now, Outcome, Proof, Unanswered, Unnamed,
    ambiguities, diff, prove,
};
pub use rules::RULES;
pub use set::{Accept, Algorithm, Bound, Case, Credential, Expect, Invariant, Issuer, Owner, PolicySet, Role, Row};

#[cfg(test)]
mod tests;

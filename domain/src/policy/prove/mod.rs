//! What can ever happen: decided over every token that an issuer can make, not over samples.
//!
//! [`prove`] decides invariants, [`diff`] what a change lets in and shuts out, [`ambiguities`] what it makes of asks that name no
//! role. They answer exactly or say that they cannot, and whatever they show was decided by [`decide`](super::decide()) first. How:
//! each claim is a set of values ([`domains`], [`values`], [`language`]), what a policy says of several claims is searched through
//! ([`solver`]), and a solution becomes a token ([`witness`]). None of it costs more than a [`budget`]. docs/proofs.md says which
//! tokens count as possible.

mod budget;
mod diff;
mod domains;
mod facts;
mod gives;
mod invariants;
mod language;
mod near_rows;
mod owners;
mod solver;
mod tokens;
mod unnamed;
mod values;
mod witness;

pub use diff::{Diff, Moved, Now, Unanswered, diff};
pub use gives::Difference;
pub use invariants::{Counterexample, Outcome, Proof, prove};
pub use unnamed::{Ambiguities, Ambiguity, Unnamed, ambiguities};
pub use witness::Change;

#[cfg(test)]
mod tests;

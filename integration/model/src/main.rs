//! The lease protocol as a model, explored whole: every order of every step of two replicas, a database, a target and two jobs,
//! with crashes, outages and late messages between them. `./dev model` runs it.
//!
//! The model knows nothing of the broker's code. It follows it by hand, step by step; who changes the protocol changes it here
//! first, and sees whether it still holds.

#![expect(clippy::indexing_slicing, reason = "asks, names and workers are numbered by the arrays that hold them")]

use std::process::ExitCode;

mod ask;
mod mutants;
mod plan;
mod promises;
mod protocol;
mod run;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod worker;

fn main() -> ExitCode {
    run::main()
}

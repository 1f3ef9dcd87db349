//! The real binary against a small broker that speaks the native API: what the command sees, what is sent, what is left.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod broker;
mod exec;
mod exec_signals;
mod findings;
mod init;
mod operators;
mod policy;
mod proofs;
mod reconcile;
mod refusals;
mod run;
mod sessions;
mod simulate;
mod suggest;
mod tls;
mod unsafe_sets;
mod versions;

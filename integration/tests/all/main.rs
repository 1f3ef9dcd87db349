//! The whole broker, from outside: real processes, a real database, a real target, tokens as CI systems sign them.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and one that is left out says so"
)]

mod attacks;
mod canary;
mod client;
mod crashes;
mod disk;
mod errors;
mod history;
mod hooks;
mod incident;
mod issuers;
mod leases;
mod mysql;
mod outages;
mod outgoing;
mod pooler;
mod promotion;
mod races;
mod reconcile;
mod sessions;
mod versions;

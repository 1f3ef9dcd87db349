//! Tools for trying Daypass out and for its tests: a private PostgreSQL, a CI issuer, certificates. Nothing of a real
//! installation uses them.

pub mod authority;
mod commands;
mod files;
pub mod issuer;
pub mod postgres;

pub use commands::{Command, run};

//! The Daypass server: a token becomes claims; the policy finds a role; an engine issues a credential; the store keeps a
//! lease; the log remembers.

pub mod app;
pub mod audit;
pub mod config;
pub mod crypto;
pub mod dev;
pub mod engines;
pub mod failpoint;
pub mod http;
pub mod oidc;
pub mod outbound;
pub mod panics;
pub mod service;
pub mod store;
pub mod system;
pub mod telemetry;
pub mod workers;

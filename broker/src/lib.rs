//! The Daypass server: a token becomes claims; the policy finds a role; an engine issues a credential; the store keeps a
//! lease; the log remembers.

pub mod crypto;
pub mod dev;
pub mod engines;
pub mod oidc;
pub mod outbound;
pub mod store;
pub mod system;

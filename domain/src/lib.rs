//! The pure ground of Daypass: what a token says, what a policy decides, what a role yields, what a lease is and what is
//! remembered. The broker and the command line stand on it, so that both decide alike; it therefore holds no input or
//! output, no clock and no randomness.

pub mod audit;
pub mod claims;
pub mod credentials;
pub mod issuers;
pub mod lease;
pub mod policy;
pub mod refusal;
pub mod secret;
pub mod wire;

//! From a CI token to verified claims: where issuers publish their keys, which keys are held, what a token must be.

pub mod discovery;
pub mod keys;
pub mod trust;
pub mod verifier;

pub use verifier::{Refused, Verified, Verifier};

//! Everything that touches a key.

pub mod aead;
pub mod jws;
pub mod keyring;
pub mod scram;
pub mod seals;

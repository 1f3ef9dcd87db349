//! Everything that touches a key: sealing at rest, signatures, password verifiers.

pub mod aead;
pub mod jws;
pub mod keyring;
pub mod scram;
pub mod seals;

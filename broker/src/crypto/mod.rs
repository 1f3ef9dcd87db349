//! Everything that touches a key: sealing at rest, signatures, password verifiers.
//! Cryptography: everything that touches a key.

pub mod aead;
pub mod jws;
pub mod keyring;
pub mod scram;
pub mod seals;
pub mod scram;

//! Keys, seals and signatures.

pub mod scram;
//! Cryptography: everything that touches a key.

pub mod jws;
//! Sealing at rest and its keys.

pub mod aead;
pub mod keyring;
pub mod seals;

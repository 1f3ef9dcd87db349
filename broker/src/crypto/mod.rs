//! Keys, seals and signatures.

pub mod scram;
//! Cryptography: everything that touches a key.

pub mod jws;

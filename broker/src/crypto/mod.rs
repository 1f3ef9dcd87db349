//! Keys, seals and signatures.

pub mod scram;

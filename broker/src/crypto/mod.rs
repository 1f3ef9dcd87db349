//! Everything that touches a key.

pub mod aead;
pub mod jws;
pub mod keyring;
pub mod scram;
pub mod seals;

/// SHA-256, as the store keeps tokens and keys.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

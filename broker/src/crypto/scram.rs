//! What PostgreSQL keeps of a password: the SCRAM-SHA-256 verifier of RFC 5802 and RFC 7677.
//!
//! It is computed here so that the clear password never travels in a statement, where a log could keep it.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::secret::Secret;
use zeroize::Zeroize;

/// The count of rounds that RFC 7677 asks for at least, and that strict clients insist on.
pub const RFC_ROUNDS: NonZeroU32 = match NonZeroU32::new(4096) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};

/// The stored form of one password.
pub struct Verifier {
    rounds: NonZeroU32,
    salt: [u8; 16],
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

/// The password is not printable ASCII, so that it would need the string preparation of RFC 4013.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password for a verifier must be printable ASCII")]
pub struct NotPlain;

impl Verifier {
    /// Derives the verifier. Only printable ASCII is taken: there string preparation changes nothing.
    pub fn new(password: &Secret<String>, salt: [u8; 16], rounds: NonZeroU32) -> Result<Self, NotPlain> {
        if !password.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(NotPlain);
        }
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.expose().as_bytes(), &mut salted);
        let mut client_key = mac(&salted, b"Client Key");
        let server_key = mac(&salted, b"Server Key");
        let mut stored_key = [0; 32];
        stored_key.copy_from_slice(digest::digest(&digest::SHA256, &client_key).as_ref());
        salted.zeroize();
        client_key.zeroize();
        Ok(Self { rounds, salt, stored_key, server_key })
    }

    /// As `pg_authid.rolpassword` holds it.
    pub fn to_postgres(&self) -> Secret<String> {
        Secret::new(format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.rounds,
            BASE64_STANDARD.encode(self.salt),
            BASE64_STANDARD.encode(self.stored_key),
            BASE64_STANDARD.encode(self.server_key)
        ))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The conversation of RFC 7677, section 3: its proof and its server signature must follow from our verifier.
    #[test]
    fn agrees_with_the_conversation_of_rfc_7677() {
        let auth_message = concat!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        );
        let salt: [u8; 16] = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = Verifier::new(&Secret::from("pencil"), salt, RFC_ROUNDS).unwrap();

        let server_signature = mac(&verifier.server_key, auth_message.as_bytes());
        assert_eq!(BASE64_STANDARD.encode(server_signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_signature = mac(&verifier.stored_key, auth_message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(client_signature).map(|(left, right)| left ^ right).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), verifier.stored_key);
    }

    #[test]
    fn reads_as_postgresql_stores_it() {
        let text = Verifier::new(&Secret::from("pencil"), [7; 16], RFC_ROUNDS).unwrap().to_postgres();
        let (head, keys) = text.expose().rsplit_once('$').unwrap();
        assert_eq!(head, "SCRAM-SHA-256$4096:BwcHBwcHBwcHBwcHBwcHBw==");
        let (stored, server) = keys.split_once(':').unwrap();
        assert_eq!((stored.len(), server.len()), (44, 44));
    }

    #[test]
    fn takes_no_password_that_would_need_preparation() {
        for password in ["p\u{e4}ss", "tab\there", "\u{ad}soft", "\u{7f}"] {
            assert_eq!(Verifier::new(&Secret::from(password), [0; 16], RFC_ROUNDS).unwrap_err(), NotPlain);
        }
    }

    #[test]
    fn never_shows_itself() {
        let verifier = Verifier::new(&Secret::from("pencil"), [7; 16], RFC_ROUNDS).unwrap();
        assert_eq!(format!("{verifier:?}"), "Verifier(…)");
    }
}

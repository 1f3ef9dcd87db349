//! Session tokens: `dps_`, 256 random bits, a checksum. Only their hash is ever stored.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;

use crate::system::{NoEntropy, System};

const PREFIX: &str = "dps_";
const RANDOM: usize = 32;
const CHECK: usize = 3;

/// A fresh token of 51 characters.
pub fn new_token(system: &System) -> Result<Secret<String>, NoEntropy> {
    let random: Secret<[u8; RANDOM]> = Secret::new(system.random()?);
    let bytes: Secret<Vec<u8>> = Secret::new([random.expose().as_slice(), &checksum(random.expose())].concat());
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.expose()))))
}

/// The hash that the store knows, if `token` has the shape of a session token. A typing mistake costs no look-up.
pub fn hash(token: &str) -> Option<[u8; 32]> {
    let bytes = Secret::new(URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?);
    let (random, check) = bytes.expose().split_at_checked(RANDOM)?;
    if check != checksum(random) {
        return None;
    }
    Some(sha256(token.as_bytes()))
}

/// SHA-256, as the store keeps tokens and keys.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn checksum(random: &[u8]) -> [u8; CHECK] {
    let [a, b, c, ..] = sha256(&[b"daypass session token".as_slice(), random].concat());
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let (system, _) = System::real();
        let token = new_token(&system).unwrap();
        assert_eq!(token.expose().len(), 51);
        assert_eq!(hash(token.expose()), Some(sha256(token.expose().as_bytes())));
    }

    #[test]
    fn refuses_what_is_cut_changed_or_foreign() {
        let (system, _) = System::real();
        let token = new_token(&system).unwrap();
        let text = token.expose();
        let swapped = if text.ends_with('A') { 'B' } else { 'A' };
        for bad in [
            &text[..50],
            &text[4..],
            "",
            "dps_",
            &format!("{text}A"),
            &format!("{}{swapped}", &text[..50]),
            &text.replace("dps_", "dpx_"),
        ] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }
}

//! Session tokens: `dps_`, the session's id, 256 random bits, a checksum. Only their hash is ever stored. The id makes the
//! look-up one by the session's own key; it is no secret and opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use uuid::Uuid;

pub use crate::crypto::sha256;
use crate::system::{NoEntropy, System};

const PREFIX: &str = "dps_";
const RANDOM: usize = 32;
const CHECK: usize = 3;

/// What a token says of itself; whether it is one is for the store to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub session: Uuid,
    pub hash: [u8; 32],
}

/// A fresh token of 72 characters for `session`.
pub fn new_token(system: &System, session: Uuid) -> Result<Secret<String>, NoEntropy> {
    let random: Secret<[u8; RANDOM]> = Secret::new(system.random()?);
    let body: Secret<Vec<u8>> = Secret::new([session.as_bytes(), random.expose().as_slice()].concat());
    let bytes: Secret<Vec<u8>> = Secret::new([body.expose().as_slice(), &checksum(body.expose())].concat());
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.expose()))))
}

/// What the store looks for, if `token` has the shape of a session token. A typing mistake costs no look-up.
pub fn shown(token: &str) -> Option<Shown> {
    let bytes = Secret::new(URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?);
    let (session, random) = bytes.expose().split_first_chunk()?;
    let (body, check) = bytes.expose().split_at_checked(session.len() + RANDOM)?;
    if random.len() != RANDOM + CHECK || check != checksum(body) {
        return None;
    }
    Some(Shown { session: Uuid::from_bytes(*session), hash: sha256(token.as_bytes()) })
}

fn checksum(body: &[u8]) -> [u8; CHECK] {
    let [a, b, c, ..] = sha256(&[b"daypass session token".as_slice(), body].concat());
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_session_and_its_hash() {
        let (system, _) = System::real();
        let session = system.row_id().unwrap();
        let token = new_token(&system, session).unwrap();
        assert_eq!(token.expose().len(), 72);
        assert_eq!(shown(token.expose()), Some(Shown { session, hash: sha256(token.expose().as_bytes()) }));
    }

    #[test]
    fn refuses_what_is_cut_changed_or_foreign() {
        let (system, _) = System::real();
        let token = new_token(&system, Uuid::nil()).unwrap();
        let text = token.expose();
        let swapped = if text.ends_with('A') { 'B' } else { 'A' };
        for bad in [
            &text[..71],
            &text[..68],
            &text[4..],
            "",
            "dps_",
            &format!("{text}A"),
            &format!("{text}AAAA"),
            &format!("{}{swapped}", &text[..71]),
            &text.replace("dps_A", "dps_B"),
            &text.replace("dps_", "dpx_"),
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}

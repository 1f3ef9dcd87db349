//! Compact JSON web signatures, as strictly as the standards allow and no wider than CI issuers need.
//!
//! The usual libraries were not enough: they re-parse the key for every token, and leave `use`, `key_ops`, `crv`, a
//! key's own `alg` and duplicate key ids unchecked. Here the type system leaves no room for the classic attacks: there
//! is no HMAC and no `none`, a key that was admitted knows its one algorithm, and the header can only agree with it.

mod keys;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::claims::{self, Limits, Object};

pub use domain::policy::Algorithm;
pub use keys::{AdmittedKey, KeySet, SetRefused, Skipped};

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// The longest encoded header, in bytes.
const HEADER_BYTES: usize = 1024;

/// The longest key id, in bytes.
const KEY_ID_BYTES: usize = 256;

/// Header members that would change what a signature means or where its key comes from.
const REFUSED_MEMBERS: [&str; 8] = ["crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"];

/// A token of the right shape whose signature nobody has checked yet.
pub struct Unverified<'a> {
    header: Header,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What the header may say.
struct Header {
    /// Absent for every name that is no [`Algorithm`].
    algorithm: Option<Algorithm>,
    key_id: String,
}

/// The token does not have the shape of the tokens that CI issuers sign. Speaks of the token only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The signature cannot be accepted. There is deliberately no more to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature cannot be accepted")]
pub struct BadSignature;

impl<'a> Unverified<'a> {
    /// Takes a compact token apart. Nothing is trimmed or repaired, and no key is touched.
    pub fn read(token: &'a str) -> Result<Self, Malformed> {
        let [header, payload, signature] = segments(token)?;
        if header.len() > HEADER_BYTES {
            return Err(Malformed("the header is longer than 1 KiB"));
        }
        let parsed = Header::read(&decode(header)?)?;
        let payload_at = header.len() + 1;
        let signing_input = token.get(..payload_at + payload.len()).ok_or(Malformed(SHAPE))?;
        Ok(Self { header: parsed, signing_input, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// The key id that the token names.
    pub fn key_id(&self) -> &str {
        &self.header.key_id
    }

    /// The bytes that the signature is about: header and payload as they were sent.
    pub const fn signed(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The decoded payload. Untrusted until [`AdmittedKey::verify`] has said yes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

const SHAPE: &str = "it is not three base64url segments with two dots between them";

fn segments(token: &str) -> Result<[&str; 3], Malformed> {
    if token.len() > TOKEN_BYTES {
        return Err(Malformed("it is longer than 16 KiB"));
    }
    let mut parts = token.split('.');
    match [parts.next(), parts.next(), parts.next(), parts.next()] {
        // An empty payload is a matter of whoever reads it: there is no JSON in it.
        [Some(header), Some(payload), Some(signature), None] if !header.is_empty() && !signature.is_empty() => {
            Ok([header, payload, signature])
        }
        [_, _, _, Some(_)] if parts.next().is_some() && parts.next().is_none() => {
            Err(Malformed("it is an encrypted token (JWE); only signed ones are accepted"))
        }
        _ => Err(Malformed(SHAPE)),
    }
}

/// Base64url without padding, with nothing hidden in the last character's spare bits.
fn decode(segment: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Malformed("a segment is not canonical base64url without padding"))
}

impl Header {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let Ok(claims::Json::Object(header)) = claims::parse(text, Limits::TOKEN) else {
            return Err(Malformed("the header is not an acceptable JSON object"));
        };
        if REFUSED_MEMBERS.iter().any(|name| header.get(name).is_some()) {
            return Err(Malformed("the header has a member that is never accepted (crit b64 zip cty jwk jku x5u x5c)"));
        }
        check_type(&header)?;
        let algorithm = header.get("alg").and_then(claims::Json::as_str).ok_or(Malformed("the header has no alg"))?;
        let key_id = header.get("kid").and_then(claims::Json::as_str).ok_or(Malformed("the header has no kid"))?;
        if !is_key_id(key_id) {
            return Err(Malformed("the kid is not 1 to 256 printable ASCII characters"));
        }
        Ok(Self { algorithm: algorithm_named(algorithm), key_id: key_id.to_owned() })
    }
}

fn check_type(header: &Object) -> Result<(), Malformed> {
    let accepted = match header.get("typ") {
        None => true,
        Some(claims::Json::String(typ)) => ["JWT", "application/jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known)),
        Some(_) => false,
    };
    if accepted { Ok(()) } else { Err(Malformed("the header's typ is neither absent nor JWT")) }
}

/// The algorithm of exactly that registered name. Symmetric ones and `none` have no name here.
fn algorithm_named(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name)
}

fn is_key_id(text: &str) -> bool {
    (1..=KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
pub(crate) mod tests;

//! What a login in a database is called and what opens it, the same in every database engine.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::secret::Secret;
use uuid::Uuid;

use super::engine::EngineError;
use crate::system::System;

/// `dp_<deployment>_<lease>`: 36 bytes of `a-z2-7_`, which need quoting nowhere. Every lease has its own, never used twice.
pub fn name(deployment: &str, lease_id: Uuid) -> Result<String, EngineError> {
    if deployment.len() != 6 || !deployment.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')) {
        return Err(EngineError::Misconfigured(format!("`{deployment}` is not a deployment name: six characters of a-z2-7")));
    }
    let lease = base32(lease_id.as_u128());
    Ok(format!("dp_{deployment}_{lease}"))
}

/// The 26 base32 digits of an id, most significant first.
fn base32(id: u128) -> String {
    (0..26)
        .rev()
        .map(|place| match u8::try_from((id >> (5 * place)) & 31).unwrap_or(0) {
            digit @ 0..=25 => char::from(b'a' + digit),
            digit => char::from(b'2' + digit - 26),
        })
        .collect()
}

/// The id that stands in a login's name, if it is one that [`name`] makes.
pub fn lease_of(deployment: &str, name: &str) -> Option<Uuid> {
    let digits = name.strip_prefix("dp_")?.strip_prefix(deployment)?.strip_prefix('_')?;
    let id = digits.bytes().try_fold(0_u128, |id, digit| {
        let value = match digit {
            b'a'..=b'z' => digit - b'a',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        Some(id << 5 | u128::from(value))
    })?;
    // What is too long or too large reads back as another name.
    (base32(id) == digits).then(|| Uuid::from_u128(id))
}

/// 256 random bits in 43 characters that need no quoting anywhere.
pub(super) fn password(system: &System) -> Result<Secret<String>, EngineError> {
    let bits = Secret::new(system.random::<32>().map_err(|error| EngineError::Fault(error.into()))?.to_vec());
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bits.expose())))
}

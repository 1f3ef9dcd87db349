//! Signed deliveries after the Standard Webhooks specification, as GitLab sends them from version 19 on where a webhook has a
//! signing token: HMAC-SHA256 over the delivery's id, its time in seconds and the very body, with a point between them.
//!
//! The time is signed, so a delivery that was overheard is worth something for minutes and not for ever.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::secret::Secret;
use time::{Duration, OffsetDateTime};

use super::sender::{Proof, Shown};

/// Begins every signing token.
const PREFIX: &str = "whsec_";
/// The bytes that a key may have.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;
/// How far the signed time may be from now, on either side.
const AGE: Duration = Duration::minutes(5);

/// Whether the secret is there to sign with. Such a one is never shown, and proves nothing when it is.
pub(super) fn signs(secret: &Secret<String>) -> bool {
    secret.expose().starts_with(PREFIX)
}

/// The key of a signing token.
fn key(secret: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let key = Secret::new(BASE64_STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?);
    KEY.contains(&key.expose().len()).then_some(key)
}

/// Refuses a signing token that holds no key.
pub(super) fn check(secret: &Secret<String>) -> Result<(), &'static str> {
    if signs(secret) && key(secret).is_none() {
        return Err("what begins with whsec_ is a signing token: the base64 of 24 to 64 bytes follows");
    }
    Ok(())
}

/// Whether there is a signature at all.
pub(super) fn is_there(shown: &Shown<'_>) -> bool {
    shown.get("webhook-signature").is_some_and(|signatures| signatures.split(' ').any(|signature| signature.starts_with("v1,")))
}

/// Whether one of the signatures is of this secret, and of now.
pub(super) fn proof(secret: &Secret<String>, shown: &Shown<'_>, body: &[u8], now: OffsetDateTime) -> Proof {
    let header = |name| shown.get(name).copied().unwrap_or_default();
    let (id, time, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    // With a point in it, an id could take over what belongs to the time.
    let told = (!id.is_empty() && !id.contains('.') && time.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| OffsetDateTime::from_unix_timestamp(time.parse().ok()?).ok())
        .flatten();
    let Some((told, key)) = told.zip(key(secret)) else { return Proof::Unproven };
    let (key, message) =
        (hmac::Key::new(hmac::HMAC_SHA256, key.expose()), [id.as_bytes(), b".", time.as_bytes(), b".", body].concat());
    let is_right = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| BASE64_STANDARD.decode(tag).ok());
        tag.is_some_and(|tag| hmac::verify(&key, &message, &tag).is_ok())
    };
    if !signatures.split(' ').any(is_right) {
        return Proof::Unproven;
    }
    if (now - told).abs() > AGE { Proof::Stale } else { Proof::Proven }
}

#[cfg(test)]
mod tests;

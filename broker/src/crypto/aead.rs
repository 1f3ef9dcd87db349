//! AES-256-GCM and HKDF-SHA-256, with lengths that cannot be wrong.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce, Tag};
use aws_lc_rs::hkdf;
use domain::secret::Secret;
use zeroize::Zeroize;

/// A key of 256 bits, wiped when dropped.
pub type Key256 = Secret<[u8; 32]>;

pub const NONCE: usize = 12;
pub const TAG: usize = 16;

/// The bytes were not sealed with this key for this place, or were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext does not open with this key in this place")]
pub struct DoesNotOpen;

/// Appends ciphertext and tag of `clear` to `out`. A nonce is used at most once with a key.
pub fn encrypt(key: &Key256, nonce: [u8; NONCE], bound: &[u8], clear: &[u8], out: &mut Vec<u8>) -> Result<(), DoesNotOpen> {
    let cipher = cipher(key);
    let start = out.len();
    // One allocation: growing later would leave a copy of the clear text behind.
    out.reserve_exact(clear.len() + TAG);
    out.extend_from_slice(clear);
    let body = out.get_mut(start..).ok_or(DoesNotOpen)?;
    // Fails only for texts beyond 64 GiB.
    let Ok(tag) = cipher.encrypt_inout_detached(&Nonce::from(nonce), bound, body.into()) else {
        out.zeroize();
        return Err(DoesNotOpen);
    };
    out.extend_from_slice(&tag);
    Ok(())
}

/// The clear text of `sealed` (ciphertext and tag), if key, nonce and bound data are those it was sealed with.
pub fn decrypt(key: &Key256, nonce: [u8; NONCE], bound: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, DoesNotOpen> {
    let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(DoesNotOpen)?;
    let mut clear = body.to_vec();
    let opened = cipher(key).decrypt_inout_detached(&Nonce::from(nonce), bound, clear.as_mut_slice().into(), &Tag::from(*tag));
    let clear = Secret::new(clear);
    opened.map(|()| clear).map_err(|_| DoesNotOpen)
}

/// HKDF-SHA-256 into `out`; up to 255 × 32 bytes.
pub fn derive(key: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), TooLong> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    extracted.expand(info, Length(out.len())).and_then(|expanded| expanded.fill(out)).map_err(|_| TooLong)
}

/// More key material was asked for than HKDF gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HKDF-SHA-256 gives at most 8160 bytes")]
pub struct TooLong;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn cipher(key: &Key256) -> Aes256Gcm {
    let mut key = Key::<Aes256Gcm>::from(*key.expose());
    let cipher = Aes256Gcm::new(&key);
    key.as_mut_slice().zeroize();
    cipher
}

#[cfg(test)]
mod tests;

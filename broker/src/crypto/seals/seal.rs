//! What every seal does: wrap and unwrap the generations of the data key under a root key that never leaves it.

use std::fmt::Debug;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::secret::Secret;
use uuid::Uuid;
use zeroize::Zeroize;

use crate::crypto::aead::{self, Key256, NONCE};
use crate::system::{NoEntropy, System};

/// A root key, wherever it is kept. Keys are wrapped for one deployment and one generation, and open for no other.
pub trait Seal: Debug + Send + Sync {
    /// What it is, for messages: `the root key in /etc/daypass/root.key`.
    fn describe(&self) -> String;

    fn wrap<'a>(&'a self, system: &'a System, whose: Wrapped, key: &'a Key256) -> Answer<'a, Vec<u8>>;

    fn unwrap<'a>(&'a self, whose: Wrapped, wrapped: &'a [u8]) -> Answer<'a, Key256>;
}

/// Seals may ask the network (a key service), so they answer later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SealError>> + Send + 'a>>;

/// Which key is wrapped: part of what is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapped {
    pub deployment: Uuid,
    pub generation: u32,
}

/// Why a seal does not serve.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("{seal} does not open the data keys of this database: it is another key, or the rows were changed")]
    WrongKey { seal: String },
    #[error("cannot read {path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} can be read by others (mode {mode:03o}); run: chmod 600 {path}")]
    Exposed { path: String, mode: u32 },
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    #[error(
        "{0} is not a root key: 32 random bytes in hex or in base64, in a file also raw (make one with: openssl rand -hex 32)"
    )]
    NotAKey(String),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// The root key in this process's memory: what the `file` and `environment` seals hold.
#[derive(Debug)]
pub(super) struct Root {
    key: Key256,
}

impl Root {
    /// Reads 32 bytes that stand raw, in hex or in base64; `None` when they are neither. `bytes` is wiped.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            // Text of 32 characters is a password that somebody thought up.
            Ok(raw) if !raw.iter().all(|byte| (b' '..=b'~').contains(byte) || byte.is_ascii_whitespace()) => Self::of(raw, bytes),
            _ => Self::read_text(bytes),
        }
    }

    /// The same, where only text can stand.
    pub(super) fn read_text(mut text: Vec<u8>) -> Option<Self> {
        let Some(key) = decode(&text) else {
            text.zeroize();
            return None;
        };
        Self::of(key, text)
    }

    fn of(key: [u8; 32], mut source: Vec<u8>) -> Option<Self> {
        source.zeroize();
        // A key of one repeated byte is a placeholder that somebody forgot.
        key.iter().any(|byte| Some(byte) != key.first()).then(|| Self { key: Secret::new(key) })
    }

    pub(super) fn wrap(&self, system: &System, whose: Wrapped, key: &Key256) -> Result<Vec<u8>, SealError> {
        let nonce = system.random::<NONCE>()?;
        let mut wrapped = nonce.to_vec();
        aead::encrypt(&self.key, nonce, &bound(whose), key.expose(), &mut wrapped)
            .map_err(|_| SealError::NotAKey("the data key".to_owned()))?;
        Ok(wrapped)
    }

    pub(super) fn unwrap(&self, whose: Wrapped, wrapped: &[u8]) -> Option<Key256> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE>()?;
        let clear = aead::decrypt(&self.key, *nonce, &bound(whose), sealed).ok()?;
        Some(Secret::new(<[u8; 32]>::try_from(clear.expose().as_slice()).ok()?))
    }
}

fn bound(whose: Wrapped) -> Vec<u8> {
    [b"daypass data key 1".as_slice(), whose.deployment.as_bytes(), &whose.generation.to_be_bytes()].concat()
}

fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text = text.trim_ascii();
    if text.len() == 64 {
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return text.iter().all(u8::is_ascii_hexdigit).then_some(key);
    }
    let mut decoded = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
    let key = <[u8; 32]>::try_from(decoded.as_slice()).ok();
    decoded.zeroize();
    key
}

#[cfg(test)]
mod tests;

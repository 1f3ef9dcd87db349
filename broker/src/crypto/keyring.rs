//! Generations of the data key, and records sealed under them.
//!
//! Every record has a key of its own, derived from the active generation, so that no key ever sees enough nonces to repeat
//! one. What is authenticated names the place of the ciphertext: moved to another row, column, database, version or
//! generation, it does not open.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use domain::secret::Secret;
use uuid::Uuid;

use super::aead::{self, Key256, NONCE};
use crate::system::{NoEntropy, System};

/// Where a ciphertext lives.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    /// The primary key; several columns as [`compound`] joins them.
    pub key: &'a [u8],
    /// Grows with every change of the clear text.
    pub version: u64,
}

/// A sealed record: header, nonce, ciphertext, and beside it the generation for the column that rotation searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub generation: u32,
}

/// Why a record cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    #[error("a sealed record does not open in its place: it was changed, moved, or sealed by another deployment")]
    DoesNotOpen,
    #[error("a sealed record names generation {0} of the data key, which is not loaded")]
    UnknownGeneration(u32),
    #[error("the system's source of randomness failed")]
    NoEntropy,
}

impl From<NoEntropy> for KeyringError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// The data keys of one deployment. There is always an active one.
#[derive(Clone, Debug)]
pub struct Keyring {
    deployment: Uuid,
    active: u32,
    active_key: Key256,
    older: BTreeMap<u32, Key256>,
}

/// The first bytes of every sealed record: a name and the version of this format.
const MAGIC: [u8; 3] = *b"dp\x01";

impl Keyring {
    pub fn new(deployment: Uuid, active: u32, active_key: Key256) -> Self {
        Self { deployment, active, active_key, older: BTreeMap::new() }
    }

    /// Also opens what was sealed under an older generation.
    #[must_use]
    pub fn with_older(mut self, generation: u32, key: Key256) -> Self {
        self.older.insert(generation, key);
        self
    }

    pub const fn deployment(&self) -> Uuid {
        self.deployment
    }

    /// The generation that seals.
    pub const fn active(&self) -> u32 {
        self.active
    }

    /// Seals `clear` for `place` under the active generation.
    pub fn seal(&self, system: &System, place: Place<'_>, clear: &[u8]) -> Result<Sealed, KeyringError> {
        let nonce = system.random::<NONCE>()?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + NONCE + clear.len() + aead::TAG);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.active.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        let bound = self.bound(place, self.active);
        let key = record_key(&self.active_key, &bound)?;
        aead::encrypt(&key, nonce, &bound, clear, &mut bytes).map_err(|_| KeyringError::DoesNotOpen)?;
        Ok(Sealed { bytes, generation: self.active })
    }

    /// The clear text, if `sealed` was sealed for exactly this place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, KeyringError> {
        let rest = sealed.strip_prefix(&MAGIC).ok_or(KeyringError::DoesNotOpen)?;
        let (generation, rest) = rest.split_first_chunk().ok_or(KeyringError::DoesNotOpen)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(KeyringError::DoesNotOpen)?;
        let generation = u32::from_be_bytes(*generation);
        let key = self.key(generation).ok_or(KeyringError::UnknownGeneration(generation))?;
        let bound = self.bound(place, generation);
        aead::decrypt(&record_key(key, &bound)?, *nonce, &bound, body).map_err(|_| KeyringError::DoesNotOpen)
    }

    /// A keyed hash for `label`, under the active generation.
    pub fn mac(&self, label: &str, bytes: &[u8]) -> Result<[u8; 32], KeyringError> {
        let tag = hmac::sign(&self.mac_key(&self.active_key, label)?, bytes);
        <[u8; 32]>::try_from(tag.as_ref()).map_err(|_| KeyringError::DoesNotOpen)
    }

    /// The keyed hash for `label` under every generation, for what was kept before a rotation.
    pub fn macs(&self, label: &str, bytes: &[u8]) -> Result<Vec<[u8; 32]>, KeyringError> {
        let keys = std::iter::once(&self.active_key).chain(self.older.values());
        keys.map(|key| {
            let tag = hmac::sign(&self.mac_key(key, label)?, bytes);
            <[u8; 32]>::try_from(tag.as_ref()).map_err(|_| KeyringError::DoesNotOpen)
        })
        .collect()
    }

    /// Whether `mac` is the keyed hash of `bytes` for `label` under any generation.
    pub fn has_mac(&self, label: &str, bytes: &[u8], mac: &[u8]) -> bool {
        let keys = std::iter::once(&self.active_key).chain(self.older.values());
        keys.filter_map(|key| self.mac_key(key, label).ok()).any(|key| hmac::verify(&key, bytes, mac).is_ok())
    }

    fn key(&self, generation: u32) -> Option<&Key256> {
        if generation == self.active { Some(&self.active_key) } else { self.older.get(&generation) }
    }

    fn mac_key(&self, key: &Key256, label: &str) -> Result<hmac::Key, KeyringError> {
        let mut bytes = [0; 32];
        aead::derive(key.expose(), self.deployment.as_bytes(), &[b"daypass mac 1\0", label.as_bytes()], &mut bytes)
            .map_err(|_| KeyringError::DoesNotOpen)?;
        let bytes = Secret::new(bytes);
        Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()))
    }

    /// What is authenticated: each part of fixed length or with its length before it, so that no two places are alike.
    fn bound(&self, place: Place<'_>, generation: u32) -> Vec<u8> {
        let mut bound = Vec::with_capacity(160);
        bound.extend_from_slice(b"daypass record 1");
        bound.extend_from_slice(self.deployment.as_bytes());
        bound.extend_from_slice(&generation.to_be_bytes());
        bound.extend_from_slice(&place.version.to_be_bytes());
        for part in [place.table.as_bytes(), place.column.as_bytes(), place.key] {
            push(&mut bound, part);
        }
        bound
    }
}

/// A primary key of several columns as one: each with its length before it.
pub fn compound(parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    for part in parts {
        push(&mut key, part);
    }
    key
}

fn push(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_be_bytes());
    out.extend_from_slice(part);
}

/// The key of one record: its whole place goes into the derivation.
fn record_key(generation: &Key256, bound: &[u8]) -> Result<Key256, KeyringError> {
    let mut key = [0; 32];
    aead::derive(generation.expose(), bound, &[b"daypass record key 1"], &mut key).map_err(|_| KeyringError::DoesNotOpen)?;
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests;

//! From the bytes of a token to claims that may be believed.
//!
//! Each step fails closed, cheap before costly: size and shape, strict header, strict payload of which only `iss` is
//! read, byte-equal issuer, key by issuer and key id, algorithm fixed by the key, signature, claim types, times,
//! audience, the claims that make it a CI token. Policy and single use are the caller's.

mod checks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::claims::{self, Claims, Json, Limits, Object};
use domain::issuers::issuer::{Ages, Kind};
use domain::refusal::{Code, Refusal};
use time::OffsetDateTime;

use super::keys::{Found, KeyCache};
use crate::crypto::jws::{AdmittedKey, Algorithm, Unverified};
use crate::crypto::sha256;
use crate::system::System;

/// What the policy set says about one issuer, as far as a token is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Believed<'a> {
    /// The name in the policy set.
    pub name: &'a str,
    /// What `iss` must be, byte for byte.
    pub url: &'a str,
    /// What `aud` must be.
    pub audience: &'a str,
    pub algorithms: &'a [Algorithm],
    pub ages: Ages,
    pub kind: &'a dyn Kind,
    pub enabled: bool,
}

/// Who is believed. Nobody else's keys are ever asked for.
pub trait Issuers {
    /// The issuer with exactly this URL.
    fn believed(&self, url: &str) -> Option<Believed<'_>>;
}

/// A token that passed every check of its own.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The issuer's name in the policy set.
    pub issuer: String,
    pub issuer_url: String,
    pub claims: Claims,
    /// What tells this token from every other of its issuer: the SHA-256 of its `jti`, or of what was signed where the
    /// issuer gives no id. (Not of the whole token: an ECDSA signature can be rewritten by anyone who sees it.)
    pub token_id: [u8; 32],
    /// `exp` and `iat`, in Unix seconds.
    pub expires_at: i64,
    pub issued_at: i64,
    pub key_id: String,
    /// How long ago the issuer last confirmed the key.
    pub keys_age: Duration,
}

/// A token that is refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    pub refusal: Refusal,
    /// The issuer's name in the policy set, once the token has named one. Before a valid signature that is a claim only.
    pub issuer: Option<String>,
    /// What the issuer really signed; absent when no valid signature was seen.
    pub signed: Option<Box<Claims>>,
}

impl Refused {
    /// Whether a believed issuer really signed the token.
    pub const fn authentic(&self) -> bool {
        self.signed.is_some()
    }

    fn early(refusal: impl Into<Refusal>) -> Self {
        Self { refusal: refusal.into(), issuer: None, signed: None }
    }

    fn of(issuer: &Believed<'_>, refusal: impl Into<Refusal>) -> Self {
        Self { refusal: refusal.into(), issuer: Some(issuer.name.to_owned()), signed: None }
    }
}

/// Checks tokens against the issuers of a policy set.
#[derive(Debug)]
pub struct Verifier {
    system: System,
    keys: Arc<KeyCache>,
    /// Seconds by which clocks may differ.
    leeway: i64,
}

impl Verifier {
    /// The most that clocks may be said to differ.
    pub const LEEWAY_MAX: Duration = Duration::from_mins(1);

    /// `leeway` is cut to [`Self::LEEWAY_MAX`].
    pub fn new(system: System, keys: Arc<KeyCache>, leeway: Duration) -> Self {
        let leeway = i64::try_from(leeway.min(Self::LEEWAY_MAX).as_secs()).unwrap_or(0);
        Self { system, keys, leeway }
    }

    pub const fn leeway(&self) -> i64 {
        self.leeway
    }

    /// Believes the token or refuses it. A key that is not held may make this wait for one fetch of the issuer's keys.
    pub async fn verify(&self, issuers: &impl Issuers, token: &str) -> Result<Verified, Refused> {
        let presented = Presented::read(token)?;
        let issuer = presented.issuer(issuers)?;
        match self.keys.find(issuer.url, presented.key_id()).await {
            Found::Keys(held) => {
                let (key, now) = (held.key(presented.key_id()), self.system.now());
                let verified = presented.accept(&issuer, key, held.age(now), now, self.leeway)?;
                self.not_over(verified)
            }
            Found::Unavailable { retry_after } => {
                let refusal = Refusal::new(Code::KeysUnavailable).retry_after(retry_after);
                Err(Refused::of(&issuer, refusal))
            }
        }
    }
}

impl Verifier {
    /// A token that is over by any clock is over: its use may have been forgotten by then, and a clock that went back would let it
    /// in once more.
    fn not_over(&self, verified: Verified) -> Result<Verified, Refused> {
        match checks::not_over(verified.expires_at, self.system.clock.latest().unix_timestamp(), self.leeway) {
            Ok(()) => Ok(verified),
            Err(refusal) => {
                let Verified { issuer, claims, .. } = verified;
                Err(Refused { refusal, issuer: Some(issuer), signed: Some(Box::new(claims)) })
            }
        }
    }
}

/// A token of the right shape. Nothing in it is believed, and only its `iss` and key id can be asked for.
pub struct Presented<'a> {
    token: Unverified<'a>,
    payload: Object,
}

impl<'a> Presented<'a> {
    /// Size, shape, header and payload, without touching a key.
    pub fn read(token: &'a str) -> Result<Self, Refused> {
        let malformed = |hint: &dyn fmt::Display| Refused::early(Refusal::new(Code::TokenMalformed).hint(hint.to_string()));
        let token = Unverified::read(token).map_err(|reason| malformed(&format_args!("The token is refused: {reason}.")))?;
        match claims::parse(token.payload(), Limits::TOKEN) {
            Ok(Json::Object(payload)) => Ok(Self { token, payload }),
            Ok(_) => Err(malformed(&"The token's payload is not a JSON object.")),
            Err(error) => Err(malformed(&format_args!("The token's payload is {error}."))),
        }
    }

    pub fn key_id(&self) -> &str {
        self.token.key_id()
    }

    /// The issuer that the token names, if it is believed and switched on.
    pub fn issuer<'i>(&self, issuers: &'i impl Issuers) -> Result<Believed<'i>, Refused> {
        let Some(url) = self.payload.get("iss").and_then(Json::as_str) else {
            let refusal = Refusal::new(Code::TokenMalformed).hint("The token's iss is not a string.");
            return Err(Refused::early(refusal));
        };
        let believed = issuers.believed(url).filter(|issuer| issuer.url == url);
        let issuer = believed.ok_or_else(|| Refused::early(checks::unknown_issuer(url)))?;
        if issuer.enabled { Ok(issuer) } else { Err(Refused::of(&issuer, Code::IssuerDisabled)) }
    }

    /// Believes the token, given the key that its issuer published under the token's key id.
    pub fn accept(
        self,
        issuer: &Believed<'_>,
        key: Option<&AdmittedKey>,
        keys_age: Duration,
        now: OffsetDateTime,
        leeway: i64,
    ) -> Result<Verified, Refused> {
        let key = key.filter(|key| issuer.algorithms.contains(&key.algorithm()));
        let verified = key.and_then(|key| key.verify(&self.token).ok());
        verified.ok_or_else(|| Refused::of(issuer, Code::TokenInvalid))?;

        let mut claims = Claims::from_verified(self.payload);
        match checks::check(issuer, &mut claims, now.unix_timestamp(), leeway) {
            Ok(checked) => Ok(Verified {
                token_id: sha256(checked.id.as_deref().map_or_else(|| self.token.signed(), str::as_bytes)),
                issuer: issuer.name.to_owned(),
                issuer_url: issuer.url.to_owned(),
                claims,
                expires_at: checked.expires_at,
                issued_at: checked.issued_at,
                key_id: self.token.key_id().to_owned(),
                keys_age,
            }),
            Err(refusal) => Err(Refused { signed: Some(Box::new(claims)), ..Refused::of(issuer, refusal) }),
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;

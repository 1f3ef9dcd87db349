//! Which published keys are admitted, and what an admitted key may be used for.
//!
//! Keys are admitted one by one: what this version does not understand is skipped, so that an issuer can publish a new
//! kind of key without cutting itself off. What tells of a broken or leaked set refuses the whole of it.

use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters};
use domain::claims::{self, Json, Limits, Object};

use super::{Algorithm, BadSignature, URL_SAFE_NO_PAD, Unverified, algorithm_named, is_key_id};
use base64::Engine;

/// The largest key set that is looked at, in bytes.
const SET_BYTES: usize = 256 * 1024;

/// The most keys of a set.
const SET_KEYS: usize = 64;

/// Members that only private or symmetric keys have.
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// A public key that may verify signatures of exactly one algorithm.
pub struct AdmittedKey {
    id: String,
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// An issuer's admitted keys; their ids are unique.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<AdmittedKey>,
    skipped: Vec<Skipped>,
}

/// A published key that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Printable, or absent.
    pub id: Option<String>,
    pub reason: &'static str,
}

/// Why a whole set is refused. The set that was believed before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetRefused {
    #[error("it is larger than 256 KiB")]
    TooLarge,
    #[error("{0}")]
    Json(claims::JsonError),
    #[error("it is not an object with an array of keys")]
    NotASet,
    #[error("it has more than 64 keys")]
    TooManyKeys,
    #[error("it shows a private key: the issuer has leaked it")]
    PrivateKey,
    #[error("it has a symmetric key")]
    SymmetricKey,
    #[error("two keys have the same id")]
    DuplicateId,
    #[error("none of its keys can be used")]
    NoUsableKey,
}

impl KeySet {
    /// Reads a JWKS document, admitting keys for the `allowed` algorithms only.
    pub fn admit(document: &[u8], allowed: &[Algorithm]) -> Result<Self, SetRefused> {
        if document.len() > SET_BYTES {
            return Err(SetRefused::TooLarge);
        }
        let document = claims::parse(document, Limits::KEYS).map_err(SetRefused::Json)?;
        let published = document.as_object().and_then(|set| set.get("keys")).and_then(Json::as_array);
        let published = published.ok_or(SetRefused::NotASet)?;
        if published.len() > SET_KEYS {
            return Err(SetRefused::TooManyKeys);
        }
        let published = published.iter().map(|key| key.as_object().ok_or(SetRefused::NotASet)).collect::<Result<Vec<_>, _>>()?;
        refuse_poisoned(&published)?;

        let mut set = Self { keys: Vec::new(), skipped: Vec::new() };
        for jwk in published {
            match AdmittedKey::admit(jwk, allowed) {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skipped.push(Skipped { id: id_of(jwk).map(str::to_owned), reason }),
            }
        }
        if set.keys.is_empty() { Err(SetRefused::NoUsableKey) } else { Ok(set) }
    }

    /// The key with exactly that id.
    pub fn key(&self, id: &str) -> Option<&AdmittedKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub fn keys(&self) -> &[AdmittedKey] {
        &self.keys
    }

    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

/// What one key cannot be skipped for, because it speaks against the set.
fn refuse_poisoned(published: &[&Object]) -> Result<(), SetRefused> {
    for (at, jwk) in published.iter().enumerate() {
        if jwk.get("kty").and_then(Json::as_str) == Some("oct") {
            return Err(SetRefused::SymmetricKey);
        }
        if PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some()) {
            return Err(SetRefused::PrivateKey);
        }
        let id = jwk.get("kid");
        if id.is_some() && published.iter().skip(at + 1).any(|other| other.get("kid") == id) {
            return Err(SetRefused::DuplicateId);
        }
    }
    Ok(())
}

impl AdmittedKey {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The one algorithm whose signatures this key verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this key signed the token. The header must name this key and its algorithm.
    pub fn verify(&self, token: &Unverified<'_>) -> Result<(), BadSignature> {
        if token.header.algorithm != Some(self.algorithm) || token.header.key_id != self.id {
            return Err(BadSignature);
        }
        self.key.verify_sig(token.signed(), &token.signature).map_err(|_| BadSignature)
    }

    fn admit(jwk: &Object, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let id = id_of(jwk).ok_or("it has no printable id of at most 256 bytes")?;
        check_purpose(jwk)?;
        let family = Family::of(jwk)?;
        let algorithm = match jwk.get("alg") {
            None => family.preferred(allowed),
            Some(Json::String(name)) => algorithm_named(name).filter(|named| family.can(*named)),
            Some(_) => None,
        };
        let algorithm = algorithm.filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or("its algorithm is not one that this issuer may use with such a key")?;
        let key = match family {
            Family::Rsa => rsa(jwk, algorithm)?,
            Family::P256 => point(jwk, &signature::ECDSA_P256_SHA256_FIXED, 32)?,
            Family::P384 => point(jwk, &signature::ECDSA_P384_SHA384_FIXED, 48)?,
            Family::Ed25519 => {
                let x = bytes(jwk, "x").filter(|x| x.len() == 32).ok_or("its x is not 32 bytes")?;
                ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| "it is no Ed25519 key")?
            }
        };
        Ok(Self { id: id.to_owned(), algorithm, key })
    }
}

impl fmt::Debug for AdmittedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmittedKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn id_of(jwk: &Object) -> Option<&str> {
    jwk.get("kid").and_then(Json::as_str).filter(|id| is_key_id(id))
}

/// `use` and `key_ops` may be absent, and must speak of verifying when they are there.
fn check_purpose(jwk: &Object) -> Result<(), &'static str> {
    if jwk.get("use").is_some_and(|purpose| purpose.as_str() != Some("sig")) {
        return Err("its use is not sig");
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Json::Array(operations)) if operations.iter().any(|operation| operation.as_str() == Some("verify")) => Ok(()),
        Some(_) => Err("its key_ops do not name verify"),
    }
}

/// Keys that can do the same algorithms.
#[derive(Clone, Copy)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    fn of(jwk: &Object) -> Result<Self, &'static str> {
        let text = |name| jwk.get(name).and_then(Json::as_str);
        match (text("kty"), text("crv")) {
            (Some("RSA"), None) => Ok(Self::Rsa),
            (Some("EC"), Some("P-256")) => Ok(Self::P256),
            (Some("EC"), Some("P-384")) => Ok(Self::P384),
            (Some("OKP"), Some("Ed25519")) => Ok(Self::Ed25519),
            _ => Err("its kind is not known"),
        }
    }

    const fn can(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => matches!(
                algorithm,
                Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512
            ),
            Self::P256 => matches!(algorithm, Algorithm::Es256),
            Self::P384 => matches!(algorithm, Algorithm::Es384),
            Self::Ed25519 => matches!(algorithm, Algorithm::EdDsa),
        }
    }

    /// The algorithm of a key that names none: the first of the family that is allowed, RS256 before all others.
    fn preferred(self, allowed: &[Algorithm]) -> Option<Algorithm> {
        let mut possible = allowed.iter().copied().filter(|algorithm| self.can(*algorithm));
        if allowed.contains(&Algorithm::Rs256) && self.can(Algorithm::Rs256) { Some(Algorithm::Rs256) } else { possible.next() }
    }
}

fn rsa(jwk: &Object, algorithm: Algorithm) -> Result<ParsedPublicKey, &'static str> {
    let n = bytes(jwk, "n").ok_or("its n is not canonical base64url")?;
    let e = bytes(jwk, "e").ok_or("its e is not canonical base64url")?;
    let (Some(first), Some(last)) = (n.first(), n.last()) else { return Err("its n is empty") };
    if *first == 0 {
        return Err("its n has leading zeros");
    }
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=8192).contains(&bits) {
        return Err("its n is not of 2048 to 8192 bits");
    }
    if last % 2 == 0 {
        return Err("its n is even");
    }
    if e != [1, 0, 1] {
        return Err("its e is not 65537");
    }
    let parameters: &'static RsaParameters = match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return Err("its algorithm is not one of RSA"),
    };
    PublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| "it is no RSA key")
}

fn point(
    jwk: &Object,
    algorithm: &'static signature::EcdsaVerificationAlgorithm,
    width: usize,
) -> Result<ParsedPublicKey, &'static str> {
    let coordinate = |name| bytes(jwk, name).filter(|bytes| bytes.len() == width);
    let (Some(x), Some(y)) = (coordinate("x"), coordinate("y")) else {
        return Err("its coordinates do not have the curve's width");
    };
    let uncompressed = [&[4], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(algorithm, uncompressed).map_err(|_| "its point is not on the curve")
}

fn bytes(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

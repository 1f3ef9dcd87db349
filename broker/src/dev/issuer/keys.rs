//! The issuer's RSA keys, kept in its directory, and the JWKS documents made from them.

use std::path::Path;

use anyhow::{Context, Result};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Map, Value, json};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::dev::files;

/// The keys that an issuer publishes. The first one signs; the others stand for the rotation that real issuers go through.
pub(super) struct Keys {
    signing: EncodingKey,
    kid: String,
    x5t: Option<String>,
    published: Vec<Value>,
}

/// Whether keys are published with a self-signed certificate, as some of GitHub's are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    WithCertificate,
}

impl Keys {
    /// Reads `<name>-1.pem`, `<name>-2.pem`, … from the directory, making those that are missing.
    pub(super) fn open(dir: &Path, name: &str, styles: &[Style]) -> Result<Self> {
        let mut keys = Vec::new();
        for (number, style) in styles.iter().enumerate() {
            let path = dir.join(format!("{name}-{}.pem", number + 1));
            let pem = if let Some(pem) = files::read(&path)? {
                pem
            } else {
                let pem = KeyPair::generate_for(&PKCS_RSA_SHA256)?.serialize_pem();
                files::write_private(&path, pem.as_bytes())?;
                pem
            };
            keys.push(Key::new(&pem, *style).with_context(|| format!("{} is no RSA key", path.display()))?);
        }
        let published = keys.iter().map(|key| key.jwk.clone()).collect();
        let Key { signing, kid, x5t, .. } = keys.into_iter().next().context("an issuer needs a key")?;
        Ok(Self { signing, kid, x5t, published })
    }

    /// The JWKS document.
    pub(super) fn document(&self) -> Value {
        json!({ "keys": self.published })
    }

    /// A compact JWS over the claims.
    pub(super) fn sign(&self, claims: &Map<String, Value>) -> Result<String> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.x5t.clone_from(&self.x5t);
        Ok(jsonwebtoken::encode(&header, claims, &self.signing)?)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kid", &self.kid).finish_non_exhaustive()
    }
}

struct Key {
    signing: EncodingKey,
    kid: String,
    x5t: Option<String>,
    jwk: Value,
}

impl Key {
    fn new(pem: &str, style: Style) -> Result<Self> {
        let signing = EncodingKey::from_rsa_pem(pem.as_bytes())?;
        let parameters = serde_json::to_value(Jwk::from_encoding_key(&signing, Algorithm::RS256)?)?;
        let part = |name: &str| parameters.get(name).cloned().with_context(|| format!("the key has no {name}"));
        let (n, e) = (part("n")?, part("e")?);
        let mut jwk = Map::new();
        let mut x5t = None;
        let kid = match style {
            Style::WithCertificate => {
                let der = certificate(pem)?;
                let print = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
                let thumb = URL_SAFE_NO_PAD.encode(print.as_ref());
                jwk.insert("x5c".into(), json!([STANDARD.encode(&der)]));
                jwk.insert("x5t".into(), json!(thumb));
                x5t = Some(thumb);
                domain::audit::hex(print.as_ref()).to_ascii_uppercase()
            }
            Style::Plain => {
                // A UUID made from the public key: the same for the same key, at every start.
                let print = digest::digest(&digest::SHA256, n.to_string().as_bytes());
                let bytes = print.as_ref().first_chunk::<16>().copied().unwrap_or_default();
                uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
            }
        };
        jwk.extend([("kty", json!("RSA")), ("alg", json!("RS256")), ("use", json!("sig"))].map(|(k, v)| (k.to_owned(), v)));
        jwk.extend([("kid", json!(kid)), ("n", n), ("e", e)].map(|(k, v)| (k.to_owned(), v)));
        Ok(Self { signing, kid, x5t, jwk: Value::Object(jwk) })
    }
}

/// A self-signed certificate over the key, the same bytes each time: only its thumbprint matters.
fn certificate(pem: &str) -> Result<Vec<u8>> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ci token signing");
    let at = |year| {
        Ok::<_, time::error::ComponentRange>(PrimitiveDateTime::new(
            Date::from_calendar_date(year, Month::January, 1)?,
            Time::MIDNIGHT,
        ))
    };
    params.not_before = at(2026)?.assume_utc();
    params.not_after = at(2046)?.assume_utc();
    Ok(params.self_signed(&key)?.der().to_vec())
}

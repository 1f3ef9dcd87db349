//! A CI issuer for the demo and the tests: it plays GitHub Actions, GitLab CI and an internal deploy service over HTTPS.
//!
//! Its tokens carry what the real ones carry and its documents have their shape, so what accepts them accepts the real ones.
//! Whoever reaches `/jobs` and `/tokens`, or can read its directory, can sign anything: no policy outside a demo may trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::authority::Authority;
use super::files;
use crate::system::System;

mod documents;
mod keys;
mod profiles;
mod server;

pub use profiles::Kind;

use keys::{Keys, Style};
use profiles::Claims;

/// How long a job may ask for tokens: GitHub's own limit.
const JOB_LIFETIME: i64 = 6 * 3600 + 600;
const DESCRIPTION: &str = "issuer.json";
const REQUEST_AUDIENCE: &str = "id-token-request";

/// The issuer: its keys, its URL, and the certificate it serves with.
#[derive(Debug)]
pub struct Issuer {
    system: System,
    base: String,
    github: Keys,
    gitlab: Keys,
    generic: Keys,
    /// Signs the request tokens of jobs; published nowhere.
    request_key: Secret<Vec<u8>>,
}

/// What a job on GitHub finds in its environment, and what its tokens will say.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`
    pub request_url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`
    pub request_token: String,
    pub claims: Map<String, Value>,
}

/// The issuer's addresses, as they are written to `issuer.json` and printed at start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// `https://HOST:PORT`
    pub base: String,
    pub github: String,
    pub gitlab: String,
    pub generic: String,
    pub ca_file: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct RequestClaims {
    aud: String,
    exp: i64,
    job: Claims,
}

impl Issuer {
    /// Opens the issuer kept in `dir`, making keys that are missing, to be reached at `base` (`https://HOST:PORT`).
    pub fn open(system: &System, dir: &Path, base: &str) -> Result<Arc<Self>> {
        let authority = Authority::open(system, dir)?;
        let issuer = Self::with_keys(system, dir, base)?;
        let text = serde_json::to_string_pretty(&issuer.description(authority.ca_file()))?;
        files::write_public(&dir.join(DESCRIPTION), text.as_bytes())?;
        Ok(Arc::new(issuer))
    }

    /// Opens an issuer that was opened before, from its directory alone, to sign tokens beside the one that serves.
    pub fn reopen(system: &System, dir: &Path) -> Result<Self> {
        let path = dir.join(DESCRIPTION);
        let Some(text) = files::read(&path)? else {
            bail!(
                "no issuer has been started in {dir}; start one with `daypass-broker dev issuer --dir {dir}`",
                dir = dir.display()
            )
        };
        let description: Description = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Self::with_keys(system, dir, &description.base)
    }

    fn with_keys(system: &System, dir: &Path, base: &str) -> Result<Self> {
        let request_file = dir.join("requests.key");
        let request_key = if let Some(text) = files::read(&request_file)? {
            URL_SAFE_NO_PAD.decode(text.trim()).with_context(|| format!("{} is damaged", request_file.display()))?
        } else {
            let key = system.random::<32>()?;
            files::write_private(&request_file, URL_SAFE_NO_PAD.encode(key).as_bytes())?;
            key.to_vec()
        };
        Ok(Self {
            system: system.clone(),
            base: base.trim_end_matches('/').to_owned(),
            github: Keys::open(dir, "github", &[Style::WithCertificate, Style::Plain])?,
            gitlab: Keys::open(dir, "gitlab", &[Style::Plain, Style::Plain])?,
            generic: Keys::open(dir, "generic", &[Style::Plain])?,
            request_key: Secret::new(request_key),
        })
    }

    /// The issuer URL of a kind, as it stands in `iss`.
    pub fn url(&self, kind: Kind) -> String {
        documents::issuer_url(kind, &self.base)
    }

    pub fn description(&self, ca_file: &Path) -> Description {
        Description {
            base: self.base.clone(),
            github: self.url(Kind::Github),
            gitlab: self.url(Kind::Gitlab),
            generic: self.url(Kind::Generic),
            ca_file: ca_file.to_owned(),
        }
    }

    /// Signs a token for a job that is described by `stated`; `audience` as the job asks for it.
    pub fn token(&self, kind: Kind, stated: &Map<String, Value>, audience: Option<&str>) -> Result<Secret<String>> {
        let job = kind.job(&self.system, &self.base, stated)?;
        self.mint(kind, job, audience)
    }

    /// Registers a job on GitHub: what it needs to ask for tokens itself, each with its own `jti`.
    pub fn job(&self, stated: &Map<String, Value>) -> Result<Job> {
        let claims = Kind::Github.job(&self.system, &self.base, stated)?;
        let exp = self.system.now().unix_timestamp() + JOB_LIFETIME;
        let request = RequestClaims { aud: REQUEST_AUDIENCE.to_owned(), exp, job: claims.clone() };
        let key = EncodingKey::from_secret(self.request_key.expose());
        let request_token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &request, &key)?;
        Ok(Job { request_url: format!("{}{}?api-version=2.0", self.base, server::REQUEST_PATH), request_token, claims })
    }

    /// Answers a job's request for a token, or `None` if its request token is not ours or too old.
    fn answer(&self, request_token: &str, audience: Option<&str>) -> Option<Result<Secret<String>>> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[REQUEST_AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // The times are compared below, against this system's clock.
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(self.request_key.expose());
        let request = jsonwebtoken::decode::<RequestClaims>(request_token, &key, &validation).ok()?.claims;
        (request.exp > self.system.now().unix_timestamp()).then(|| self.mint(Kind::Github, request.job, audience))
    }

    fn mint(&self, kind: Kind, mut job: Claims, audience: Option<&str>) -> Result<Secret<String>> {
        if let Some(audience) = audience {
            job.insert("aud".to_owned(), json!(audience));
        }
        let claims = profiles::envelope(&self.system, kind, &self.url(kind), &job)?;
        Ok(Secret::new(self.keys(kind).sign(&claims)?))
    }

    fn keys(&self, kind: Kind) -> &Keys {
        match kind {
            Kind::Github => &self.github,
            Kind::Gitlab => &self.gitlab,
            Kind::Generic => &self.generic,
        }
    }
}

#[cfg(test)]
mod tests;

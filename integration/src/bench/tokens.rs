//! Tokens as GitHub signs them: RS256 with a 2,048-bit key, every claim, a `jti` of their own. Signed before they are needed:
//! signing costs more than fifteen verifications.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use broker::system::System;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
pub const AUDIENCE: &str = "https://daypass.bench.test";

const KEY_ID: &str = "38826b17-6a30-5f9b-b169-8beb8202f723";
/// As long as the broker believes a token of GitHub.
const LIFETIME: i64 = 600;

/// An issuer's key with what a job says of itself.
#[derive(Debug)]
pub struct Signer {
    key: RsaKeyPair,
    system: System,
    runs: AtomicU64,
}

/// A token in the parts that a bare verification needs.
#[derive(Debug)]
pub struct Parts {
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Signer {
    pub fn new(system: &System) -> Result<Self> {
        let key = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key)?;
        let key = RsaKeyPair::from_pkcs8(der.as_ref()).context("the new key is refused")?;
        Ok(Self { key, system: system.clone(), runs: AtomicU64::new(0) })
    }

    /// The JWKS document with the public key.
    pub fn key_set(&self) -> Value {
        let (n, e) = self.components();
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": n, "e": e }] })
    }

    /// The public key, parsed, for the bare verification.
    pub fn public_key(&self) -> Result<ParsedPublicKey> {
        let (n, e) = self.components();
        Ok(PublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?)
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> Result<String> {
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(self.key.public_key())?;
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    fn components(&self) -> (Vec<u8>, Vec<u8>) {
        let public = self.key.public_key();
        (
            public.modulus().big_endian_without_leading_zero().to_vec(),
            public.exponent().big_endian_without_leading_zero().to_vec(),
        )
    }

    /// A token of a job on the branch main.
    pub fn token(&self) -> Result<String> {
        self.token_in("production")
    }

    fn token_in(&self, environment: &str) -> Result<String> {
        let header = json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT", "x5t": "OIJrF2owX5uxaYvrggL3I4gmqxc" });
        let part = |value: &Value| Ok::<_, anyhow::Error>(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?));
        let mut token = part(&header)?;
        token.push('.');
        token.push_str(&part(&Value::Object(self.claims(environment)?))?);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Many tokens of jobs in an environment, signed by all cores.
    pub fn tokens(&self, count: usize, environment: &str) -> Result<Vec<String>> {
        let cores = std::thread::available_parallelism()?.get();
        let share = count.div_ceil(cores);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|core| {
                    let mine = share.min(count.saturating_sub(core * share));
                    scope.spawn(move || (0..mine).map(|_| self.token_in(environment)).collect::<Result<Vec<_>>>())
                })
                .collect();
            let mut tokens = Vec::with_capacity(count);
            for thread in threads {
                tokens.extend(thread.join().map_err(|_| anyhow::anyhow!("a signing thread panicked"))??);
            }
            Ok(tokens)
        })
    }

    fn claims(&self, environment: &str) -> Result<Map<String, Value>> {
        let now = self.system.now().unix_timestamp();
        let jti = Uuid::from_bytes(self.system.random()?);
        let workflow = "acme/shop/.github/workflows/deploy.yml@refs/heads/main";
        // Every token is of another run, and numbers of runs grow.
        let run = 18_032_711_405_u64.saturating_add(self.runs.fetch_add(1, Ordering::Relaxed));
        let sha = "4f5a1c7e9b2d8036f1e4a7c5d9b30e628f71a4c2";
        let claims = json!({
            "jti": jti, "iss": ISSUER, "aud": AUDIENCE, "sub": format!("repo:acme/shop:environment:{environment}"),
            "iat": now, "nbf": now - LIFETIME, "exp": now + LIFETIME / 2,
            "repository": "acme/shop", "repository_id": "637712", "repository_owner": "acme", "repository_owner_id": "9919",
            "repository_visibility": "private", "enterprise": "acme-inc", "enterprise_id": "12345",
            "actor": "octocat", "actor_id": "583231",
            "event_name": "push", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
            "base_ref": "", "head_ref": "", "sha": sha,
            "workflow": "Deploy", "workflow_ref": workflow, "workflow_sha": sha,
            "job_workflow_ref": workflow, "job_workflow_sha": sha,
            "environment": environment, "environment_node_id": "EN_kwDOAAm7EM4fZ0wQ",
            "run_id": run.to_string(), "run_number": "412", "run_attempt": "1", "check_run_id": "51310022187",
            "runner_environment": "github-hosted"
        });
        match claims {
            Value::Object(claims) => Ok(claims),
            _ => anyhow::bail!("claims are an object"),
        }
    }
}

impl Parts {
    pub fn of(token: &str) -> Result<Self> {
        let (signed, signature) = token.rsplit_once('.').context("a token has three parts")?;
        Ok(Self { signed: signed.as_bytes().to_vec(), signature: URL_SAFE_NO_PAD.decode(signature)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_tokens_that_verify_and_differ() {
        let signer = Signer::new(&System::real().0).unwrap();
        let tokens = signer.tokens(3, "production").unwrap();
        assert_eq!(tokens.len(), 3);
        let key = signer.public_key().unwrap();
        for token in &tokens {
            let Parts { signed, signature } = Parts::of(token).unwrap();
            key.verify_sig(&signed, &signature).unwrap();
        }
        assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2], "each has a jti of its own");
    }
}

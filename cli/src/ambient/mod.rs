//! Where this job's OIDC token comes from. One file for each kind of CI; the list is in [`discover`].

mod file;
mod github;
mod gitlab;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::secret::Secret;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::stop::Stop;
use crate::surroundings::Environment;

/// What the caller said about the token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) audience: String,
    /// A file, or `-` for standard input.
    pub(crate) token_file: Option<PathBuf>,
    /// The name of an environment variable.
    pub(crate) token_env: Option<String>,
    /// The authority behind the CI system's token endpoint, where it is a private one.
    pub(crate) ci_ca_file: Option<PathBuf>,
    /// Ends the asking.
    pub(crate) stop: Stop,
}

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: Secret<String>,
    /// Where it was found, in words.
    pub(crate) place: String,
}

/// Finds the token: what the caller named first, then what the CI system offers.
pub(crate) async fn discover(env: &Environment, wanted: &Wanted) -> Result<Found> {
    if let Some(found) = file::token(wanted)? {
        return Ok(found);
    }
    if let Some(found) = gitlab::token(env, wanted)? {
        return Ok(found);
    }
    if let Some(found) = github::token(env, wanted).await? {
        return Ok(found);
    }
    Err(Failure::usage("no CI token was found").fix(
        "in GitHub Actions add `permissions: id-token: write`; in GitLab CI add `id_tokens:` with DAYPASS_ID_TOKEN; \
         anywhere else name a file with --token-file (or - for standard input)",
    ))
}

/// The variables that carry a CI token or the means to get one: a child has no business with them.
pub(crate) const TOKEN_VARIABLES: [&str; 6] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "DAYPASS_ID_TOKEN",
    "CI_JOB_JWT",
    "CI_JOB_JWT_V1",
    "CI_JOB_JWT_V2",
];

/// A token is one line of printable characters without spaces; one trailing newline is an artefact of files and pipes.
fn tidy(text: &str, place: &str) -> Result<Secret<String>> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    let token = Secret::from(line);
    if token.expose().is_empty() {
        return Err(Failure::usage(format!("{place} is empty")));
    }
    if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!("{place} does not hold a token: a token is one line without spaces")));
    }
    Ok(token)
}

/// What a token says about itself, **unverified** and for show only: the claims that name no person, to explain a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Where the token was found.
    pub(crate) place: String,
    /// In the order of [`SHOWN`].
    pub(crate) claims: Vec<(&'static str, String)>,
    pub(crate) issued_at: Option<i64>,
}

const SHOWN: [&str; 16] = [
    "iss",
    "aud",
    "sub",
    "repository_id",
    "repository",
    "project_id",
    "project_path",
    "ref",
    "ref_type",
    "ref_protected",
    "environment",
    "event_name",
    "pipeline_source",
    "workflow_ref",
    "job_workflow_ref",
    "runner_environment",
];

impl Glance {
    pub(crate) fn of(found: &Found) -> Option<Self> {
        let payload = found.token.expose().split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let shown = SHOWN.iter().filter_map(|name| {
            let text = match claims.get(*name)? {
                Value::String(text) => text.clone(),
                Value::Null => return None,
                other => other.to_string(),
            };
            Some((*name, text))
        });
        Some(Self { place: found.place.clone(), claims: shown.collect(), issued_at: claims.get("iat").and_then(Value::as_i64) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(token: &str) -> Found {
        Found { token: Secret::from(token), place: "a test".to_owned() }
    }

    #[test]
    fn trims_one_newline_and_nothing_else() {
        let tidied = |text: &str| tidy(text, "the file").map(|token| token.expose().clone()).ok();
        assert_eq!(tidied("a.b.c\n").as_deref(), Some("a.b.c"));
        assert_eq!(tidied("a.b.c\r\n").as_deref(), Some("a.b.c"));
        assert_eq!(tidied("a.b.c\n\n"), None);
        assert_eq!(tidied(" a.b.c"), None);
        assert_eq!(tidied("\n"), None);
    }

    #[test]
    fn glances_at_claims_that_name_no_person() {
        let payload = URL_SAFE_NO_PAD
            .encode(br#"{"iss":"https://i","sub":"s","actor":"mona","user_email":"m@x","iat":7,"ref_protected":true}"#);
        let glance = Glance::of(&found(&format!("h.{payload}.s"))).expect("readable");
        assert_eq!(
            glance.claims,
            [("iss", "https://i".to_owned()), ("sub", "s".to_owned()), ("ref_protected", "true".to_owned())]
        );
        assert_eq!(glance.issued_at, Some(7));
        assert_eq!(Glance::of(&found("not a token")), None);
    }

    #[tokio::test]
    async fn says_every_way_when_there_is_no_token() {
        let failure = discover(&Environment::default(), &Wanted::default()).await.expect_err("nothing there");
        let remedy = failure.remedy.expect("a remedy");
        for way in ["id-token: write", "id_tokens:", "--token-file"] {
            assert!(remedy.contains(way), "{way}");
        }
    }
}

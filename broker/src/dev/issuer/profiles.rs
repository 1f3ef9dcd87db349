//! What a job's token says: every claim that the real issuer signs, with its type.
//!
//! A caller states what matters (`repository`, `ref`, `environment`, …); the claims that follow from it (`sub`, `workflow_ref`,
//! `ref_type`, …) are derived as the issuer derives them, unless they are stated too. A stated `null` leaves a claim out.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::system::System;

pub(super) type Claims = Map<String, Value>;

/// An issuer that the development issuer can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Github,
    Gitlab,
    Generic,
}

/// When a token is valid, in seconds: `nbf = iat - not_before`, `exp = iat + lifetime`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) lifetime: i64,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Generic];

    pub(super) fn validity(self) -> Validity {
        match self {
            Self::Github => Validity { not_before: 600, lifetime: 300 },
            // GitLab signs for as long as the job may run: one hour unless a project says otherwise.
            Self::Gitlab => Validity { not_before: 5, lifetime: 3600 },
            Self::Generic => Validity { not_before: 0, lifetime: 600 },
        }
    }

    /// The claims of a job, without what differs from token to token (`jti` and the times).
    pub(super) fn job(self, system: &System, base: &str, stated: &Claims) -> Result<Claims> {
        for (name, value) in stated {
            if name == "sub" && !(value.is_string() || value.is_null()) {
                bail!("the claim sub is a string");
            }
        }
        let mut claims = Builder { stated, claims: Map::new() };
        match self {
            Self::Github => github(&mut claims, system, base)?,
            Self::Gitlab => gitlab(&mut claims, system, base)?,
            Self::Generic => generic(&mut claims, system)?,
        }
        let mut claims = claims.claims;
        claims.extend(stated.iter().map(|(name, value)| (name.clone(), value.clone())));
        claims.retain(|_, value| !value.is_null());
        Ok(claims)
    }
}

/// Claims in the making: what is stated wins over what is set here, and is what later claims are derived from.
struct Builder<'a> {
    stated: &'a Claims,
    claims: Claims,
}

impl Builder<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = self.stated.get(name).cloned().unwrap_or_else(|| value.into());
        self.claims.insert(name.to_owned(), value);
    }

    /// The text of a claim already set, or stated; empty when it is neither.
    fn text(&self, name: &str) -> String {
        self.stated.get(name).or_else(|| self.claims.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

fn github(job: &mut Builder<'_>, system: &System, base: &str) -> Result<()> {
    job.set("repository", "acme/shop");
    let repository = job.text("repository");
    let owner = repository.split('/').next().unwrap_or_default().to_owned();
    job.set("repository_id", "637712");
    job.set("repository_owner", owner);
    job.set("repository_owner_id", "9919");
    job.set("repository_visibility", "private");
    job.set("aud", format!("{base}/{}", job.text("repository_owner")));
    job.set("actor", "mona");
    job.set("actor_id", "48213");

    job.set("event_name", "push");
    let event = job.text("event_name");
    let pull = event == "pull_request";
    job.set("ref", if pull { "refs/pull/7/merge" } else { "refs/heads/main" });
    let git_ref = job.text("ref");
    job.set("ref_type", if git_ref.starts_with("refs/tags/") { "tag" } else { "branch" });
    job.set("ref_protected", if git_ref == "refs/heads/main" { "true" } else { "false" });
    let of_pull = pull || event == "pull_request_target";
    job.set("base_ref", if of_pull { "main" } else { "" });
    job.set("head_ref", if of_pull { "patch-1" } else { "" });
    job.set("sha", hexadecimal(system)?);

    job.set("workflow", "Deploy");
    job.set("workflow_ref", format!("{repository}/.github/workflows/deploy.yml@{git_ref}"));
    job.set("workflow_sha", job.text("sha"));
    job.set("job_workflow_ref", job.text("workflow_ref"));
    job.set("job_workflow_sha", job.text("workflow_sha"));
    job.set("run_id", number(system)?);
    job.set("run_number", "42");
    job.set("run_attempt", "1");
    job.set("check_run_id", number(system)?);
    job.set("runner_environment", "github-hosted");
    if job.has("environment") {
        job.set("environment_node_id", "EN_kwDOAAm7EM4fZ0wQ");
    }

    let environment = job.text("environment");
    let context = if !environment.is_empty() {
        format!("environment:{}", environment.replace(':', "%3A"))
    } else if pull {
        "pull_request".to_owned()
    } else {
        format!("ref:{}", git_ref.replace(':', "%3A"))
    };
    job.set("sub", format!("repo:{repository}:{context}"));
    Ok(())
}

fn gitlab(job: &mut Builder<'_>, system: &System, base: &str) -> Result<()> {
    job.set("project_path", "acme/shop");
    let project = job.text("project_path");
    let namespace = project.rsplit_once('/').map_or("", |(namespace, _)| namespace).to_owned();
    job.set("project_id", "4242");
    job.set("namespace_id", "77");
    job.set("namespace_path", namespace);
    // Where the job runs; it differs from the above only for merge requests from forks.
    for name in ["project_id", "project_path", "namespace_id", "namespace_path"] {
        job.set(&format!("job_{name}"), job.text(name));
    }
    job.set("project_visibility", "private");
    job.set("aud", base);

    job.set("user_id", "11");
    job.set("user_login", "tanuki");
    job.set("user_email", "tanuki@acme.example");
    job.set("user_access_level", "maintainer");

    job.set("pipeline_id", number(system)?);
    job.set("pipeline_source", "push");
    job.set("job_id", number(system)?);
    job.set("job_source", "push");
    let merge = job.text("pipeline_source") == "merge_request_event";
    job.set("ref", if merge { "patch-1" } else { "main" });
    job.set("ref_type", "branch");
    let git_ref = job.text("ref");
    let ref_path = match (merge, job.text("ref_type").as_str()) {
        (true, _) => "refs/merge-requests/7/head".to_owned(),
        (false, "tag") => format!("refs/tags/{git_ref}"),
        (false, _) => format!("refs/heads/{git_ref}"),
    };
    job.set("ref_path", ref_path);
    job.set("ref_protected", if git_ref == "main" { "true" } else { "false" });
    job.set("sha", hexadecimal(system)?);

    if job.has("environment") {
        job.set("environment_protected", "true");
        job.set("deployment_tier", "production");
        job.set("environment_action", "start");
    }
    // The one claim, beside the times, that is a number.
    job.set("runner_id", 1);
    job.set("runner_environment", "gitlab-hosted");
    let host = base.strip_prefix("https://").unwrap_or(base);
    job.set("ci_config_ref_uri", format!("{host}/{project}//.gitlab-ci.yml@{}", job.text("ref_path")));
    job.set("ci_config_sha", job.text("sha"));
    job.set("sub", format!("project_path:{project}:ref_type:{}:ref:{git_ref}", job.text("ref_type")));
    Ok(())
}

fn generic(job: &mut Builder<'_>, system: &System) -> Result<()> {
    job.set("sub", "service:deploy");
    job.set("service_id", "svc-0042");
    job.set("environment", "production");
    job.set("run_id", number(system)?);
    Ok(())
}

/// A run's number, as issuers write them: decimal digits in a string.
fn number(system: &System) -> Result<String> {
    let value = u64::from_le_bytes(system.random()?);
    Ok((10_000_000_000 + value % 80_000_000_000).to_string())
}

/// A commit.
fn hexadecimal(system: &System) -> Result<String> {
    Ok(domain::audit::hex(&system.random::<20>()?))
}

/// The claims that differ from token to token, unless the job states them.
pub(super) fn envelope(system: &System, kind: Kind, issuer: &str, job: &Claims) -> Result<Claims> {
    let validity = kind.validity();
    let iat = job.get("iat").and_then(Value::as_i64).unwrap_or_else(|| system.now().unix_timestamp());
    let jti = uuid::Builder::from_random_bytes(system.random()?).into_uuid();
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(issuer)),
        ("jti", json!(jti)),
        ("iat", json!(iat)),
        ("nbf", json!(iat - validity.not_before)),
        ("exp", json!(iat + validity.lifetime)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    claims.extend(job.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ok(claims)
}

//! Bitbucket Pipelines (Cloud).
//!
//! The subject differs in every run, so rows pin `repositoryUuid`. The braces belong to the ids. The token does not say
//! what started the pipeline nor on whose runner it runs, so there is nothing to veto: a deployment environment that is
//! limited to a branch by its administrators is the stronger gate.
//!
//! Source: support.atlassian.com, Integrate Pipelines with resource servers using OIDC.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Object};

pub const NAME: &str = "bitbucket";

/// Bitbucket Pipelines.
#[derive(Debug)]
pub struct Bitbucket;

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Immutable),
    Claim::sometimes("accountUuid", Class::Immutable),
    Claim::sometimes("workspaceUuid", Class::Immutable),
    Claim::always("repositoryUuid", Class::Immutable).pin(),
    Claim::sometimes("pipelineUuid", Class::Immutable),
    Claim::sometimes("pipelineRunUuid", Class::Immutable),
    Claim::always("stepUuid", Class::Immutable),
    Claim::sometimes("deploymentEnvironmentUuid", Class::Admin).gate(),
    Claim::sometimes("branchName", Class::Writer).gate(),
];

static REQUIRED: &[Cow<'static, str>] = &[Cow::Borrowed("sub"), Cow::Borrowed("repositoryUuid"), Cow::Borrowed("stepUuid")];

const DOCS: &str = "support.atlassian.com: Integrate Pipelines with resource servers using OIDC";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("sub", Is::Begins("{"))], DOCS),
    Relation::new(&[], &[Test::new("repositoryUuid", Is::Begins("{")), Test::new("stepUuid", Is::Begins("{"))], DOCS),
    Relation::new(&[], &[Test::new("deploymentEnvironmentUuid", Is::Begins("{"))], DOCS),
];

impl Kind for Bitbucket {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    /// The documentation names no id of a token.
    fn replay_claim(&self) -> Option<&str> {
        None
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        JobView {
            project: text("repositoryUuid"),
            project_name: None,
            git_ref: claims.text("branchName").map(|branch| format!("refs/heads/{branch}")),
            environment: text("deploymentEnvironmentUuid"),
            run: text("pipelineUuid"),
            attempt: None,
            job: text("stepUuid"),
            trigger: None,
            workflow: None,
            run_url: None,
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "repositoryUuid" | "stepUuid" => &["sub"],
            _ => &[],
        }
    }

    fn starters(&self) -> &'static [&'static str] {
        &["workspaceUuid", "repositoryUuid", "branchName", "deploymentEnvironmentUuid"]
    }

    fn vetoes(&self) -> &[Veto] {
        &[]
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    fn sample(&self) -> Claims {
        let (repository, step) = ("{6c1e2f3a-1111-4222-8333-9a8b7c6d5e4f}", "{7d2f3a4b-2222-4333-8444-0b9a8c7d6e5f}");
        Claims::from_verified(Object::default())
            .with("iss", "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc")
            .with("aud", "https://daypass.example.com")
            .with("sub", format!("{repository}:{step}").as_str())
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_003_600)
            .with("workspaceUuid", "{5b0d1e2f-3333-4444-8555-1c0b9a8d7e6f}")
            .with("repositoryUuid", repository)
            .with("pipelineUuid", "{8e3a4b5c-4444-4555-8666-2d1c0b9a8e7f}")
            .with("stepUuid", step)
            .with("branchName", "main")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let url = super::https_url(text)?;
        let workspace = url
            .path()
            .strip_prefix("/2.0/workspaces/")
            .and_then(|rest| rest.strip_suffix("/pipelines-config/identity/oidc"))
            .is_some_and(|name| !name.is_empty() && !name.contains('/'));
        if workspace && url.host_str() == Some("api.bitbucket.org") {
            return Ok(());
        }
        Err("expected https://api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc".to_owned())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get("deploymentEnvironmentUuid").is_none() {
            hints.push("the token has no deploymentEnvironmentUuid: the step declares no deployment".to_owned());
        }
        hints
    }
}

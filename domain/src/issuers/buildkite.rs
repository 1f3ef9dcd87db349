//! Buildkite, whose agents ask `agent.buildkite.com` for tokens.
//!
//! Slugs can be renamed and taken over, and the ids come only when the job asks for them
//! (`--claim organization_id,pipeline_id`); a policy pins the ids all the same. A build of a tag bears the tag's name in
//! `build_branch`, so a row that means a branch says `build_tag = { absent = true }` beside it.
//!
//! Source: buildkite.com/docs/agent/v3/cli-oidc and its sample token.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "buildkite";

/// The only issuer; every organization shares it.
pub const URL: &str = "https://agent.buildkite.com";

/// Buildkite.
#[derive(Debug)]
pub struct Buildkite;

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Writer),
    Claim::always("organization_slug", Class::Admin),
    Claim::always("pipeline_slug", Class::Admin),
    Claim::sometimes("organization_id", Class::Immutable),
    Claim::sometimes("pipeline_id", Class::Immutable).pin(),
    Claim::sometimes("build_id", Class::Immutable),
    Claim::always("build_number", Class::Immutable).of(Type::Integer),
    Claim::always("build_branch", Class::Writer).gate(),
    Claim::sometimes("build_tag", Class::Writer).gate(),
    Claim::always("build_commit", Class::Writer).gate(),
    Claim::always("build_source", Class::Writer),
    Claim::sometimes("step_key", Class::Writer),
    Claim::always("job_id", Class::Immutable),
    Claim::always("agent_id", Class::Admin),
    Claim::always("runner_environment", Class::Admin),
    Claim::sometimes("cluster_id", Class::Admin),
    Claim::sometimes("cluster_name", Class::Admin),
    Claim::sometimes("queue_id", Class::Admin),
    Claim::sometimes("queue_key", Class::Admin),
    AGENT_TAG,
];

/// Stands for every tag of an agent that a job asks for. Whoever starts an agent chooses them.
const AGENT_TAG: Claim = Claim::sometimes("agent_tag:*", Class::Admin);
static AGENT_TAGS: Claim = AGENT_TAG;

static REQUIRED: &[Cow<'static, str>] = &[
    Cow::Borrowed("sub"),
    Cow::Borrowed("jti"),
    Cow::Borrowed("organization_slug"),
    Cow::Borrowed("pipeline_slug"),
    Cow::Borrowed("build_number"),
    Cow::Borrowed("build_source"),
    Cow::Borrowed("job_id"),
    Cow::Borrowed("runner_environment"),
];

static VETOES: &[Veto] = &[
    Veto {
        name: "unverified-branch",
        code: Code::EventNotAllowed,
        reason: "who starts a build by hand, by API or from another pipeline names branch and commit apart from each other",
        claim: "build_source",
        passes: &[&[Test::new("build_source", Is::OneOf(&["webhook", "schedule"]))]],
    },
    Veto {
        name: "self-hosted-runner",
        code: Code::RunnerNotAllowed,
        reason: "a self-hosted agent can keep what an earlier job left behind",
        claim: "runner_environment",
        passes: &[&[Test::new("runner_environment", Is::OneOf(&["buildkite-hosted"]))]],
    },
];

const DOCS: &str = "buildkite.com/docs: buildkite-agent oidc";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("runner_environment", Is::OneOf(&["buildkite-hosted", "self-hosted"]))], DOCS),
    Relation::new(&[], &[Test::new("build_source", Is::OneOf(&["ui", "api", "webhook", "trigger_job", "schedule"]))], DOCS),
];

impl Kind for Buildkite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn claim(&self, name: &str) -> Option<&Claim> {
        match name.strip_prefix("agent_tag:") {
            Some("" | "*") => None,
            Some(_) => Some(&AGENT_TAGS),
            None => CLAIMS.iter().find(|claim| claim.name == name),
        }
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// Five minutes unless the job asks for another lifetime.
    fn ages(&self) -> Ages {
        Ages { lifetime: 600, age: 600 }
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let number = claims.get("build_number").and_then(Json::as_int).map(|number| number.to_string());
        let slugs = claims.text("organization_slug").zip(claims.text("pipeline_slug"));
        let git_ref = match (claims.text("build_tag"), claims.text("build_branch")) {
            (Some(tag), _) => Some(format!("refs/tags/{tag}")),
            (None, branch) => branch.map(|branch| format!("refs/heads/{branch}")),
        };
        JobView {
            project: text("pipeline_id"),
            project_name: slugs.map(|(organization, pipeline)| format!("{organization}/{pipeline}")),
            git_ref,
            environment: None,
            run_url: slugs.zip(number.as_deref()).zip(claims.text("job_id")).map(|(((organization, pipeline), build), job)| {
                format!("https://buildkite.com/{organization}/{pipeline}/builds/{build}#{job}")
            }),
            run: number,
            attempt: None,
            job: text("job_id"),
            trigger: text("build_source"),
            workflow: text("step_key"),
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "build_branch" | "build_tag" | "build_commit" | "step_key" => &["sub"],
            "pipeline_id" => &["pipeline_slug", "sub"],
            "pipeline_slug" => &["pipeline_id", "sub"],
            "organization_id" => &["organization_slug", "sub"],
            "organization_slug" => &["organization_id", "sub"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[("organization_slug", "organization_id"), ("pipeline_slug", "pipeline_id")]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["organization_id", "pipeline_id", "build_branch", "build_tag", "build_source"]
    }

    /// The build of a tag bears the tag's name in `build_branch`.
    fn absences(&self) -> &'static [&'static str] {
        &["build_tag"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    fn sample(&self) -> Claims {
        let commit = "9f3182061f1e2cca4702c368cbc039b7dc9d4485";
        Claims::from_verified(Object::default())
            .with("jti", "0194b014-8517-7cef-b232-76a827315f08")
            .with("iss", URL)
            .with("aud", "https://daypass.example.com")
            .with("sub", format!("organization:acme:pipeline:shop:ref:refs/heads/main:commit:{commit}:step:deploy").as_str())
            .with("iat", 1_790_000_000)
            .with("nbf", 1_790_000_000)
            .with("exp", 1_790_000_300)
            .with("organization_slug", "acme")
            .with("organization_id", "01863b2f-5d36-4c1a-9a0e-3b1f2c7d8e90")
            .with("pipeline_slug", "shop")
            .with("pipeline_id", "01863b31-77aa-4f0c-8c5e-0d9e8f7a6b54")
            .with("build_number", 412)
            .with("build_id", "0194afff-2b1c-4d2e-8f3a-5b6c7d8e9f01")
            .with("build_branch", "main")
            .with("build_commit", commit)
            .with("build_source", "webhook")
            .with("step_key", "deploy")
            .with("job_id", "0194b000-80f0-41e8-9b83-a2970a9305a1")
            .with("agent_id", "0194b000-8bcf-40a6-9d70-a765db9a0928")
            .with("runner_environment", "buildkite-hosted")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        if text == URL { Ok(()) } else { Err(format!("expected {URL}")) }
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get("pipeline_id").is_none() {
            hints.push(
                "the token has no pipeline_id: ask for it with buildkite-agent oidc request-token --claim organization_id,pipeline_id"
                    .to_owned(),
            );
        }
        if let Some(tag) = claims.text("build_tag") {
            hints.push(format!("the build is of the tag {tag}, whose name also stands in build_branch"));
        }
        hints
    }
}

//! GitHub Actions: github.com, enterprises with their slug, GitHub Enterprise Server and GHE.com.
//!
//! `sub` is a sentence that repository administrators can re-template, so it is never parsed to decide; the separate
//! claims are. Names are mutable and can be registered again by others; only the numeric ids pin.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Object};
use crate::refusal::Code;

pub const NAME: &str = "github";

/// The issuer of github.com.
pub const URL: &str = "https://token.actions.githubusercontent.com";

/// GitHub Actions.
#[derive(Debug)]
pub struct GitHub;

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Writer),
    Claim::always("repository", Class::Admin).folded(),
    Claim::always("repository_id", Class::Immutable).pin(),
    Claim::always("repository_owner", Class::Admin).folded(),
    Claim::always("repository_owner_id", Class::Immutable),
    Claim::always("repository_visibility", Class::Admin),
    Claim::always("actor", Class::Anyone).folded().personal(),
    Claim::always("actor_id", Class::Anyone).personal(),
    Claim::always("event_name", Class::Writer),
    Claim::always("ref", Class::Writer).gate(),
    Claim::always("ref_type", Class::Writer),
    Claim::always("ref_protected", Class::Admin).gate(),
    Claim::sometimes("base_ref", Class::Writer),
    Claim::sometimes("head_ref", Class::Anyone),
    Claim::always("sha", Class::Writer).gate(),
    Claim::always("workflow", Class::Anyone),
    Claim::always("workflow_ref", Class::Writer),
    Claim::always("workflow_sha", Class::Writer),
    Claim::always("job_workflow_ref", Class::Writer),
    Claim::always("job_workflow_sha", Class::Writer),
    Claim::sometimes("environment", Class::Admin).folded().gate(),
    Claim::sometimes("environment_node_id", Class::Immutable).gate(),
    Claim::always("run_id", Class::Immutable),
    Claim::always("run_number", Class::Immutable),
    Claim::always("run_attempt", Class::Immutable),
    Claim::sometimes("check_run_id", Class::Immutable),
    Claim::always("runner_environment", Class::Writer),
    Claim::sometimes("enterprise", Class::Admin).folded(),
    Claim::sometimes("enterprise_id", Class::Immutable),
    PROPERTY,
];

/// Stands for every custom property that an organisation shows in its tokens.
const PROPERTY: Claim = Claim::sometimes("repo_property_*", Class::Admin);
static PROPERTIES: Claim = PROPERTY;

static REQUIRED: &[Cow<'static, str>] = &[
    Cow::Borrowed("sub"),
    Cow::Borrowed("jti"),
    Cow::Borrowed("repository_id"),
    Cow::Borrowed("repository_owner_id"),
    Cow::Borrowed("ref"),
    Cow::Borrowed("event_name"),
    Cow::Borrowed("workflow_ref"),
    Cow::Borrowed("job_workflow_ref"),
    Cow::Borrowed("run_id"),
    Cow::Borrowed("run_attempt"),
    Cow::Borrowed("runner_environment"),
];

/// Events that anyone can cause by talking to the project, without a right to write to it.
const OUTSIDER_EVENTS: &[&str] = &[
    "commit_comment",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "issue_comment",
    "issues",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "star",
    "watch",
];

static VETOES: &[Veto] = &[
    Veto {
        name: "pull-request",
        code: Code::EventNotAllowed,
        reason: "a pull request runs code that nobody has accepted yet",
        claim: "event_name",
        passes: &[&[Test::new("event_name", Is::NoneOf(&["pull_request"]))]],
    },
    Veto {
        name: "pull-request-target",
        code: Code::EventNotAllowed,
        reason: "pull_request_target runs with the base project's rights on input from outsiders",
        claim: "event_name",
        passes: &[&[Test::new("event_name", Is::NoneOf(&["pull_request_target"]))]],
    },
    Veto {
        name: "workflow-run",
        code: Code::EventNotAllowed,
        reason: "workflow_run follows other workflows, those of outsiders included, with full rights",
        claim: "event_name",
        passes: &[&[Test::new("event_name", Is::NoneOf(&["workflow_run"]))]],
    },
    Veto {
        name: "outsider-event",
        code: Code::EventNotAllowed,
        reason: "people without write access can cause this event",
        claim: "event_name",
        passes: &[&[Test::new("event_name", Is::NoneOf(OUTSIDER_EVENTS))]],
    },
    Veto {
        name: "self-hosted-runner",
        code: Code::RunnerNotAllowed,
        reason: "a self-hosted runner can keep what an earlier job left behind",
        claim: "runner_environment",
        passes: &[&[Test::new("runner_environment", Is::OneOf(&["github-hosted"]))]],
    },
];

const DOCS: &str = "docs.github.com: OpenID Connect reference; events that trigger workflows";

/// Events that run on the default branch, whatever they speak of.
const DEFAULT_BRANCH_EVENTS: &[&str] =
    &["discussion", "discussion_comment", "issue_comment", "issues", "schedule", "workflow_run"];

/// Nothing binds `pull_request` to a ref under `refs/pull/`: for one that was merged the ref is the branch it was merged into.
static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("repository_id", Is::Digits), Test::new("repository_owner_id", Is::Digits)], DOCS),
    Relation::new(&[], &[Test::new("repository_visibility", Is::OneOf(&["public", "private", "internal"]))], DOCS),
    // A deployment from a commit has no ref, and nobody says of which type that is.
    Relation::new(&[Test::new("ref", Is::Begins("refs/"))], &[Test::new("ref_type", Is::OneOf(&["branch", "tag"]))], DOCS),
    Relation::new(&[], &[Test::new("ref_protected", Is::OneOf(&["true", "false"]))], DOCS),
    Relation::new(&[], &[Test::new("runner_environment", Is::OneOf(&["github-hosted", "self-hosted"]))], DOCS),
    Relation::new(&[Test::new("ref", Is::Begins("refs/heads/"))], &[Test::new("ref_type", Is::OneOf(&["branch"]))], DOCS),
    Relation::new(&[Test::new("ref", Is::Begins("refs/tags/"))], &[Test::new("ref_type", Is::OneOf(&["tag"]))], DOCS),
    Relation::new(
        &[Test::new("event_name", Is::OneOf(&["push", "workflow_dispatch", "merge_group"]))],
        &[Test::new("ref", Is::BeginsNot("refs/pull/"))],
        DOCS,
    ),
    Relation::new(
        &[Test::new("event_name", Is::OneOf(&["pull_request_target"]))],
        &[Test::new("ref", Is::Begins("refs/heads/"))],
        DOCS,
    ),
    Relation::new(
        &[Test::new("event_name", Is::OneOf(DEFAULT_BRANCH_EVENTS))],
        &[Test::new("ref", Is::Begins("refs/heads/"))],
        DOCS,
    ),
];

impl Kind for GitHub {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn claim(&self, name: &str) -> Option<&Claim> {
        match name.strip_prefix("repo_property_") {
            Some("" | "*") => None,
            Some(_) => Some(&PROPERTIES),
            None => CLAIMS.iter().find(|claim| claim.name == name),
        }
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    fn ages(&self) -> Ages {
        Ages { lifetime: 600, age: 600 }
    }

    fn job(&self, issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let run_url = claims.text("repository").zip(claims.text("run_id")).and_then(|(repository, run)| {
            let attempt = claims.text("run_attempt").unwrap_or("1");
            Some(format!("{}/{repository}/actions/runs/{run}/attempts/{attempt}", web(issuer_url)?))
        });
        JobView {
            project: text("repository_id"),
            project_name: text("repository"),
            git_ref: text("ref"),
            environment: text("environment"),
            run: text("run_id"),
            attempt: text("run_attempt"),
            job: text("check_run_id"),
            trigger: text("event_name"),
            workflow: text("job_workflow_ref"),
            run_url,
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "ref" => &["sub", "ref_type", "ref_protected", "workflow_ref", "job_workflow_ref"],
            "environment" | "event_name" => &["sub"],
            "repository" => &["sub", "repository_owner", "repository_id", "workflow_ref", "job_workflow_ref"],
            "repository_id" => &["sub", "repository"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[("repository", "repository_id"), ("repository_owner", "repository_owner_id"), ("enterprise", "enterprise_id")]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["repository_owner_id", "repository_id", "ref", "event_name", "job_workflow_ref", "environment"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("actor_id").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        let workflow = "acme/shop/.github/workflows/deploy.yml@refs/heads/main";
        let sha = "4f5a1c7e9b2d8036f1e4a7c5d9b30e628f71a4c2";
        Claims::from_verified(Object::default())
            .with("jti", "6f4c7c5e-2a41-4b0c-9d7e-6a1f0c2b9e55")
            .with("iss", URL)
            .with("aud", "https://daypass.example.com")
            .with("sub", "repo:acme@9919/shop@637712:ref:refs/heads/main")
            .with("iat", 1_790_000_000)
            .with("nbf", 1_789_999_400)
            .with("exp", 1_790_000_300)
            .with("repository", "acme/shop")
            .with("repository_id", "637712")
            .with("repository_owner", "acme")
            .with("repository_owner_id", "9919")
            .with("repository_visibility", "private")
            .with("actor", "octocat")
            .with("actor_id", "583231")
            .with("event_name", "push")
            .with("ref", "refs/heads/main")
            .with("ref_type", "branch")
            .with("ref_protected", "true")
            .with("base_ref", "")
            .with("head_ref", "")
            .with("sha", sha)
            .with("workflow", "Deploy")
            .with("workflow_ref", workflow)
            .with("workflow_sha", sha)
            .with("job_workflow_ref", workflow)
            .with("job_workflow_sha", sha)
            .with("run_id", "18032711405")
            .with("run_number", "412")
            .with("run_attempt", "1")
            .with("check_run_id", "51310022187")
            .with("runner_environment", "github-hosted")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        const FORMS: &str = "expected https://token.actions.githubusercontent.com, the same with /ENTERPRISE, \
                             https://HOST/_services/token for GitHub Enterprise Server, or https://token.actions.SUBDOMAIN.ghe.com";
        let url = super::https_url(text)?;
        let segments: Vec<&str> = url.path().split('/').skip(1).collect();
        let slug =
            |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let host = url.host_str().unwrap_or_default();
        let cloud = host == "token.actions.githubusercontent.com"
            || host.strip_prefix("token.actions.").and_then(|rest| rest.strip_suffix(".ghe.com")).is_some_and(slug);
        let fits = match segments.as_slice() {
            [""] => cloud && !text.ends_with('/'),
            [one] => cloud && slug(one),
            ["_services", "token"] => !cloud,
            _ => false,
        };
        if fits { Ok(()) } else { Err(FORMS.to_owned()) }
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get("environment").is_none() {
            hints.push("the token has no environment claim: the job declares no environment".to_owned());
        }
        if let Some(git_ref) = claims.text("ref").filter(|name| name.starts_with("refs/pull/")) {
            hints.push(format!("the token's ref is {git_ref}: the job runs for a pull request"));
        }
        if claims.text("ref") == Some("") {
            hints.push("the token's ref is empty: the deployment names a commit instead of a branch or tag".to_owned());
        }
        hints
    }
}

/// Where people look at runs, from the issuer's URL.
fn web(issuer_url: &str) -> Option<String> {
    let host = issuer_url.strip_prefix("https://")?;
    if host == "token.actions.githubusercontent.com" || host.starts_with("token.actions.githubusercontent.com/") {
        return Some("https://github.com".to_owned());
    }
    if let Some(server) = host.strip_suffix("/_services/token") {
        return Some(format!("https://{server}"));
    }
    let rest = host.strip_prefix("token.actions.")?;
    let server = rest.split('/').next()?;
    Some(format!("https://{server}"))
}

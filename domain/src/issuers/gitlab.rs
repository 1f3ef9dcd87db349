//! GitLab CI: gitlab.com and self-managed servers.
//!
//! The same keys sign GitLab's login tokens, so the CI-only claims are required. For a merge request from a fork the
//! pipeline's project and the project in which the job runs differ; such tokens are vetoed.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Object};
use crate::refusal::Code;

pub const NAME: &str = "gitlab";

/// The issuer of gitlab.com.
pub const URL: &str = "https://gitlab.com";

/// GitLab CI.
#[derive(Debug)]
pub struct GitLab;

/// `ref` gates no code: a tag may bear the name of a branch. Nor does `environment`: any job may name one.
static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Writer),
    Claim::always("project_id", Class::Immutable).pin(),
    Claim::always("project_path", Class::Admin).folded(),
    Claim::always("namespace_id", Class::Immutable),
    Claim::always("namespace_path", Class::Admin).folded(),
    Claim::sometimes("job_project_id", Class::Immutable),
    Claim::sometimes("job_project_path", Class::Admin).folded(),
    Claim::sometimes("job_namespace_id", Class::Immutable),
    Claim::sometimes("job_namespace_path", Class::Admin).folded(),
    Claim::always("user_id", Class::Anyone).personal(),
    Claim::always("user_login", Class::Anyone).folded().personal(),
    Claim::sometimes("user_email", Class::Anyone).folded().personal(),
    Claim::sometimes("user_access_level", Class::Admin),
    Claim::sometimes("user_identities", Class::Anyone).of(Type::Object).personal(),
    Claim::sometimes("groups_direct", Class::Admin).of(Type::Strings).personal(),
    Claim::always("pipeline_id", Class::Immutable),
    Claim::always("pipeline_source", Class::Writer),
    Claim::always("job_id", Class::Immutable),
    Claim::sometimes("job_source", Class::Writer),
    Claim::always("ref", Class::Writer),
    Claim::always("ref_type", Class::Writer),
    Claim::sometimes("ref_path", Class::Writer).gate(),
    Claim::always("ref_protected", Class::Admin).gate(),
    Claim::always("sha", Class::Writer).gate(),
    Claim::sometimes("environment", Class::Writer),
    Claim::sometimes("environment_protected", Class::Admin).gate(),
    Claim::sometimes("deployment_tier", Class::Writer),
    Claim::sometimes("environment_action", Class::Writer),
    Claim::sometimes("runner_id", Class::Admin).of(Type::Integer),
    Claim::always("runner_environment", Class::Writer),
    Claim::sometimes("project_visibility", Class::Admin),
    Claim::sometimes("ci_config_ref_uri", Class::Writer),
    Claim::sometimes("ci_config_sha", Class::Writer),
    Claim::sometimes("target_audience", Class::Writer),
    Claim::sometimes("target_ref", Class::Writer),
    Claim::sometimes("pipeline_source_event", Class::Writer),
];

static REQUIRED: &[Cow<'static, str>] = &[
    Cow::Borrowed("sub"),
    Cow::Borrowed("jti"),
    Cow::Borrowed("project_id"),
    Cow::Borrowed("namespace_id"),
    Cow::Borrowed("ref"),
    Cow::Borrowed("ref_type"),
    Cow::Borrowed("pipeline_id"),
    Cow::Borrowed("job_id"),
    Cow::Borrowed("pipeline_source"),
];

/// The pipeline's project is the one in which the job runs.
const OWN_PROJECT: Test = Test::new("project_id", Is::SameAs("job_project_id"));

static VETOES: &[Veto] = &[
    Veto {
        name: "foreign-project",
        code: Code::ForkNotAllowed,
        reason: "the pipeline's project is not the project in which the job runs, or the server is too old to tell",
        claim: "job_project_id",
        passes: &[&[OWN_PROJECT]],
    },
    Veto {
        name: "fork-merge-request",
        code: Code::ForkNotAllowed,
        reason: "a merge-request pipeline runs code from a fork, or the server is too old to tell",
        claim: "pipeline_source",
        passes: &[
            &[Test::new("pipeline_source", Is::NoneOf(&["external_pull_request_event", "merge_request_event"]))],
            &[Test::new("pipeline_source", Is::OneOf(&["merge_request_event"])), OWN_PROJECT],
        ],
    },
    Veto {
        name: "self-hosted-runner",
        code: Code::RunnerNotAllowed,
        reason: "a self-hosted runner can keep what an earlier job left behind",
        claim: "runner_environment",
        passes: &[&[Test::new("runner_environment", Is::OneOf(&["gitlab-hosted"]))]],
    },
];

const DOCS: &str = "docs.gitlab.com: ID token authentication";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("project_id", Is::Digits), Test::new("namespace_id", Is::Digits)], DOCS),
    Relation::new(&[], &[Test::new("pipeline_id", Is::Digits), Test::new("job_id", Is::Digits)], DOCS),
    Relation::new(&[], &[Test::new("ref_type", Is::OneOf(&["branch", "tag"]))], DOCS),
    Relation::new(&[], &[Test::new("ref_protected", Is::OneOf(&["true", "false"]))], DOCS),
    Relation::new(&[], &[Test::new("runner_environment", Is::OneOf(&["gitlab-hosted", "self-hosted"]))], DOCS),
    Relation::new(&[Test::new("ref_path", Is::Begins("refs/heads/"))], &[Test::new("ref_type", Is::OneOf(&["branch"]))], DOCS),
    Relation::new(&[Test::new("ref_path", Is::Begins("refs/tags/"))], &[Test::new("ref_type", Is::OneOf(&["tag"]))], DOCS),
    Relation::new(&[], &[Test::new("job_project_id", Is::Digits)], DOCS),
    Relation::new(&[], &[Test::new("environment_protected", Is::OneOf(&["true", "false"]))], DOCS),
];

impl Kind for GitLab {
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
        Ages { lifetime: 86_400, age: 3_600 }
    }

    fn job(&self, issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let path = claims.text("job_project_path").or_else(|| claims.text("project_path"));
        let run_url = path.zip(claims.text("job_id")).map(|(path, job)| format!("{issuer_url}/{path}/-/jobs/{job}"));
        JobView {
            project: text("project_id"),
            project_name: text("project_path"),
            git_ref: text("ref_path").or_else(|| text("ref")),
            environment: text("environment"),
            run: text("pipeline_id"),
            attempt: None,
            job: text("job_id"),
            trigger: text("pipeline_source"),
            workflow: text("ci_config_ref_uri"),
            run_url,
            // The token ends with the job. Without an end it has ended: a claim that is missing opens nothing.
            ends_at: Some(claims.get("exp").and_then(crate::claims::Json::as_int).unwrap_or(0)),
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "ref" => &["sub", "ref_path", "ref_protected", "ci_config_ref_uri"],
            "ref_path" => &["sub", "ref", "ref_type", "ref_protected", "ci_config_ref_uri"],
            "ref_type" => &["sub", "ref_path"],
            "environment" => &["environment_protected"],
            "project_id" => &["project_path", "job_project_id"],
            "project_path" => &["sub", "project_id", "namespace_path", "job_project_path", "ci_config_ref_uri"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("project_path", "project_id"),
            ("namespace_path", "namespace_id"),
            ("job_project_path", "job_project_id"),
            ("job_namespace_path", "job_namespace_id"),
        ]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["namespace_id", "project_id", "ref_path", "ref_protected", "pipeline_source", "environment"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("user_id").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        Claims::from_verified(Object::default())
            .with("jti", "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b")
            .with("iss", URL)
            .with("aud", "https://daypass.example.com")
            .with("sub", "project_path:acme/shop:ref_type:branch:ref:main")
            .with("iat", 1_790_000_000)
            .with("nbf", 1_789_999_995)
            .with("exp", 1_790_003_600)
            .with("project_id", "4242")
            .with("project_path", "acme/shop")
            .with("namespace_id", "77")
            .with("namespace_path", "acme")
            .with("job_project_id", "4242")
            .with("job_project_path", "acme/shop")
            .with("job_namespace_id", "77")
            .with("job_namespace_path", "acme")
            .with("user_id", "1001")
            .with("user_login", "sidney")
            .with("user_email", "sidney@acme.example")
            .with("user_access_level", "maintainer")
            .with("pipeline_id", "1212")
            .with("pipeline_source", "push")
            .with("job_id", "31415")
            .with("ref", "main")
            .with("ref_type", "branch")
            .with("ref_path", "refs/heads/main")
            .with("ref_protected", "true")
            .with("sha", "714a629c0b401fdce83e847fc9589983fc6f46bc")
            .with("runner_id", 12)
            .with("runner_environment", "gitlab-hosted")
            .with("project_visibility", "private")
            .with("ci_config_ref_uri", "gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main")
            .with("ci_config_sha", "714a629c0b401fdce83e847fc9589983fc6f46bc")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        super::https_url(text)?;
        if text.ends_with('/') {
            return Err("expected https://HOST as the server calls itself, without a trailing slash".to_owned());
        }
        Ok(())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get("environment").is_none() {
            hints.push("the token has no environment claim: the job declares no environment".to_owned());
        }
        if claims.text("ref_protected") == Some("false") {
            hints.push("the token's ref is not protected".to_owned());
        }
        if claims.get("job_project_id").is_none() {
            hints.push("the token has no job_project_id: GitLab sends it from version 18.3 on".to_owned());
        }
        hints
    }
}

//! HCP Terraform and Terraform Enterprise: the runs of workspaces.
//!
//! There is a token per phase. A plan runs before anybody has approved it, that of a pull request too, so tokens of the
//! plan phase are vetoed; the phase is what gates the code, for the token names no ref. The tokens of stacks have other
//! claims and are no tokens of this kind.
//!
//! Source: developer.hashicorp.com/terraform, Workload identity tokens.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "terraform";

/// The issuer of HCP Terraform.
pub const URL: &str = "https://app.terraform.io";

/// HCP Terraform.
#[derive(Debug)]
pub struct Terraform;

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Admin),
    Claim::always("terraform_organization_id", Class::Immutable),
    Claim::always("terraform_organization_name", Class::Admin),
    Claim::sometimes("terraform_project_id", Class::Immutable),
    Claim::sometimes("terraform_project_name", Class::Admin),
    Claim::always("terraform_workspace_id", Class::Immutable).pin(),
    Claim::always("terraform_workspace_name", Class::Admin),
    Claim::sometimes("terraform_full_workspace", Class::Admin),
    Claim::always("terraform_run_id", Class::Immutable),
    Claim::always("terraform_run_phase", Class::Admin).gate(),
];

static REQUIRED: &[Cow<'static, str>] = &[
    Cow::Borrowed("sub"),
    Cow::Borrowed("jti"),
    Cow::Borrowed("terraform_organization_id"),
    Cow::Borrowed("terraform_workspace_id"),
    Cow::Borrowed("terraform_run_id"),
    Cow::Borrowed("terraform_run_phase"),
];

static VETOES: &[Veto] = &[Veto {
    name: "plan-phase",
    code: Code::EventNotAllowed,
    reason: "a plan runs before anybody has approved it, that of a pull request too",
    claim: "terraform_run_phase",
    passes: &[&[Test::new("terraform_run_phase", Is::OneOf(&["apply"]))]],
}];

const DOCS: &str = "developer.hashicorp.com/terraform: Workload identity tokens";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("sub", Is::Begins("organization:"))], DOCS),
    Relation::new(&[], &[Test::new("terraform_run_phase", Is::OneOf(&["plan", "apply"]))], DOCS),
    Relation::new(&[], &[Test::new("terraform_organization_id", Is::Begins("org-"))], DOCS),
    Relation::new(&[], &[Test::new("terraform_workspace_id", Is::Begins("ws-"))], DOCS),
    Relation::new(&[], &[Test::new("terraform_run_id", Is::Begins("run-"))], DOCS),
];

impl Kind for Terraform {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// A token lives as long as its phase may last: a day for an apply, and a little more.
    fn ages(&self) -> Ages {
        Ages { lifetime: 90_000, age: 3_600 }
    }

    fn job(&self, issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        let names = claims.text("terraform_organization_name").zip(claims.text("terraform_workspace_name"));
        let run_url = names
            .zip(claims.text("terraform_run_id"))
            .map(|((organization, workspace), run)| format!("{issuer_url}/app/{organization}/workspaces/{workspace}/runs/{run}"));
        JobView {
            project: text("terraform_workspace_id"),
            project_name: names.map(|(organization, workspace)| format!("{organization}/{workspace}")),
            git_ref: None,
            environment: text("terraform_project_name"),
            run: text("terraform_run_id"),
            attempt: None,
            job: text("terraform_run_id").zip(claims.text("terraform_run_phase")).map(|(run, phase)| format!("{run}/{phase}")),
            trigger: text("terraform_run_phase"),
            workflow: None,
            run_url,
            // The token ends when its phase must have ended. Without an end it has ended.
            ends_at: Some(claims.get("exp").and_then(Json::as_int).unwrap_or(0)),
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "terraform_workspace_id" => &["sub", "terraform_workspace_name", "terraform_full_workspace"],
            "terraform_workspace_name" => &["sub", "terraform_workspace_id", "terraform_full_workspace"],
            "terraform_project_name" => &["sub", "terraform_project_id", "terraform_full_workspace"],
            "terraform_run_phase" => &["sub"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("terraform_workspace_name", "terraform_workspace_id"),
            ("terraform_full_workspace", "terraform_workspace_id"),
            ("terraform_project_name", "terraform_project_id"),
            ("terraform_organization_name", "terraform_organization_id"),
        ]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["terraform_organization_id", "terraform_workspace_id", "terraform_run_phase"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    fn sample(&self) -> Claims {
        let full = "organization:acme:project:platform:workspace:shop-prod";
        Claims::from_verified(Object::default())
            .with("jti", "1192426d-b525-4fde-9d42-f238be437bbd")
            .with("iss", URL)
            .with("aud", "https://daypass.example.com")
            .with("sub", format!("{full}:run_phase:apply").as_str())
            .with("iat", 1_790_000_000)
            .with("nbf", 1_789_999_995)
            .with("exp", 1_790_007_200)
            .with("terraform_organization_id", "org-aBcDeFgHiJkLmNoP")
            .with("terraform_organization_name", "acme")
            .with("terraform_project_id", "prj-qRsTuVwXyZ123456")
            .with("terraform_project_name", "platform")
            .with("terraform_workspace_id", "ws-7890AbCdEfGhIjKl")
            .with("terraform_workspace_name", "shop-prod")
            .with("terraform_full_workspace", full)
            .with("terraform_run_id", "run-MnOpQrStUvWxYz12")
            .with("terraform_run_phase", "apply")
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        let url = super::https_url(text)?;
        if url.path() != "/" || text.ends_with('/') {
            return Err(format!("expected {URL}, or https://HOST of Terraform Enterprise, without a path"));
        }
        Ok(())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(phase) = claims.text("terraform_run_phase") {
            hints.push(format!("the token is for the {phase} phase of its run"));
        }
        hints
    }
}

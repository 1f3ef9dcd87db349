//! Any other OIDC issuer. Its schema stands in the policy set, since nobody else can vouch for it.
//!
//! It has no relations: a proof leaves out what they exclude, and nobody has checked the issuer's promises.
//!
//! ```toml
//! [issuer.deploy-service]
//! kind     = "generic"
//! url      = "https://id.acme.example"
//! audience = "https://daypass.example.com"
//! required = ["sub"]
//! [issuer.deploy-service.claims.sub]
//! class = "immutable"
//! [issuer.deploy-service.job]
//! project = "sub"
//! ```

use std::borrow::Cow;

use super::issuer::{Ages, Case, Claim, Class, JobView, Kind, Presence, Type, Veto};
use crate::claims::{Claims, Json, Object};

pub const NAME: &str = "generic";

/// The words that a schema may use, and what they stand for.
pub const TYPES: &[(&str, Type)] = &[
    ("string", Type::String),
    ("integer", Type::Integer),
    ("boolean", Type::Boolean),
    ("strings", Type::Strings),
    ("object", Type::Object),
];
pub const PRESENCES: &[(&str, Presence)] = &[("always", Presence::Always), ("optional", Presence::Optional)];
pub const CASES: &[(&str, Case)] = &[("exact", Case::Exact), ("fold-ascii", Case::FoldAscii)];
pub const CLASSES: &[(&str, Class)] =
    &[("immutable", Class::Immutable), ("admin", Class::Admin), ("writer", Class::Writer), ("anyone", Class::Anyone)];

/// Which claims make up the job view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobClaims {
    /// The claim that pins the project; a row that equals it needs no waiver when its class is immutable.
    pub project: Option<String>,
    pub project_name: Option<String>,
    /// The claim that tells the code; a row that names it needs no waiver.
    pub git_ref: Option<String>,
    /// The claim that tells the environment; a row that names it needs no waiver.
    pub environment: Option<String>,
    pub run: Option<String>,
    pub attempt: Option<String>,
    pub job: Option<String>,
    pub trigger: Option<String>,
    pub workflow: Option<String>,
}

/// The keys of an issuer's `job` table.
pub const JOB_KEYS: &[&str] = &["project", "project_name", "ref", "environment", "run", "attempt", "job", "trigger", "workflow"];

impl JobClaims {
    /// Each key with the claim that it names.
    pub fn entries(&self) -> [(&'static str, Option<&str>); 9] {
        [
            ("project", self.project.as_deref()),
            ("project_name", self.project_name.as_deref()),
            ("ref", self.git_ref.as_deref()),
            ("environment", self.environment.as_deref()),
            ("run", self.run.as_deref()),
            ("attempt", self.attempt.as_deref()),
            ("job", self.job.as_deref()),
            ("trigger", self.trigger.as_deref()),
            ("workflow", self.workflow.as_deref()),
        ]
    }

    pub fn set(&mut self, key: &str, claim: String) {
        let place = match key {
            "project" => &mut self.project,
            "project_name" => &mut self.project_name,
            "ref" => &mut self.git_ref,
            "environment" => &mut self.environment,
            "run" => &mut self.run,
            "attempt" => &mut self.attempt,
            "job" => &mut self.job,
            "trigger" => &mut self.trigger,
            "workflow" => &mut self.workflow,
            _ => return,
        };
        *place = Some(claim);
    }
}

/// What the policy set says about a generic issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// In the order of their names.
    pub claims: Vec<Claim>,
    pub required: Vec<Cow<'static, str>>,
    pub job: JobClaims,
    /// The claim that tells one token from another. Without one the token's own hash does.
    pub replay_claim: Option<String>,
    /// The claim that tells one person, or one workload, from another.
    pub person: Option<String>,
}

/// An issuer with a schema from the policy set.
#[derive(Debug)]
pub struct Generic(Schema);

impl Generic {
    /// Pins and gates follow from the job view: its immutable project pins, its ref and environment gate.
    pub fn new(mut schema: Schema) -> Self {
        for claim in &mut schema.claims {
            let name = Some(&*claim.name);
            claim.pins_project = claim.class == Class::Immutable && schema.job.project.as_deref() == name;
            claim.gates_code = schema.job.git_ref.as_deref() == name || schema.job.environment.as_deref() == name;
        }
        schema.claims.sort_by(|a, b| a.name.cmp(&b.name));
        Self(schema)
    }
}

impl Kind for Generic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        &self.0.claims
    }

    fn required(&self) -> &[Cow<'static, str>] {
        &self.0.required
    }

    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    fn replay_claim(&self) -> Option<&str> {
        self.0.replay_claim.as_deref()
    }

    fn person(&self, claims: &Claims) -> Option<String> {
        text(claims, self.0.person.as_deref()?)
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &Option<String>| text(claims, name.as_deref()?);
        let job = &self.0.job;
        JobView {
            project: text(&job.project),
            project_name: text(&job.project_name),
            git_ref: text(&job.git_ref),
            environment: text(&job.environment),
            run: text(&job.run),
            attempt: text(&job.attempt),
            job: text(&job.job),
            trigger: text(&job.trigger),
            workflow: text(&job.workflow),
            run_url: None,
            ends_at: None,
        }
    }

    fn vetoes(&self) -> &[Veto] {
        &[]
    }

    /// Every claim that is always there, with a plain value of its type; cases put in what they speak of.
    fn sample(&self) -> Claims {
        let mut claims = Claims::from_verified(Object::default())
            .with("iss", "https://issuer.example")
            .with("aud", "https://daypass.example.com")
            .with("jti", "0d9f8a3c-7e61-4a0e-8a55-2f6f3f1f7b10")
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_000_300);
        for claim in self.0.claims.iter().filter(|claim| claim.presence == Presence::Always) {
            let value = match claim.ty {
                Type::String => Json::from("sample"),
                Type::Integer => Json::from(1),
                Type::Boolean => Json::from(false),
                Type::Strings => Json::Array(vec![Json::from("sample")]),
                Type::Object => Json::Object(Object::default()),
            };
            claims.put(&claim.name, value);
        }
        claims
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        super::https_url(text).map(|_| ())
    }

    fn schema(&self) -> Option<&Schema> {
        Some(&self.0)
    }
}

/// A claim that is a text or a number.
fn text(claims: &Claims, name: &str) -> Option<String> {
    match claims.get(name)? {
        Json::String(text) => Some(text.clone()),
        Json::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

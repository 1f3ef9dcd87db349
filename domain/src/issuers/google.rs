//! Google service accounts: ID tokens of the metadata server and of `generateIdToken`.
//!
//! The same issuer signs the login tokens of every Google user. A service account's token was issued to the account
//! itself, a person's to an application; what does not show that is vetoed. An address can be given again after its account was
//! deleted, so rows pin `sub`, which also says what may run: the account is the workload's identity. The metadata server hands
//! out the same token for a while; a role for it needs `token_uses`. The keys lie on another host than the issuer:
//! `jwks_url = "https://www.googleapis.com/oauth2/v3/certs"`.
//!
//! Source: cloud.google.com/compute/docs/instances/verifying-instance-identity.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "google";

/// The only issuer; every Google account shares it.
pub const URL: &str = "https://accounts.google.com";

/// Google service accounts.
#[derive(Debug)]
pub struct Google;

const MACHINE: &str = "/google/compute_engine/instance_id";
const MACHINE_PROJECT: &str = "/google/compute_engine/project_id";

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Immutable).pin().gate(),
    Claim::always("azp", Class::Admin),
    Claim::sometimes("email", Class::Admin).folded(),
    Claim::sometimes("email_verified", Class::Admin).of(Type::Boolean),
    Claim::sometimes("hd", Class::Admin).folded(),
    Claim::sometimes("google", Class::Admin).of(Type::Object),
    Claim::sometimes(MACHINE_PROJECT, Class::Immutable),
    Claim::sometimes("/google/compute_engine/project_number", Class::Immutable).of(Type::Integer),
    Claim::sometimes("/google/compute_engine/zone", Class::Admin),
    Claim::sometimes(MACHINE, Class::Immutable),
    Claim::sometimes("/google/compute_engine/instance_name", Class::Admin),
    Claim::sometimes("/google/compute_engine/instance_creation_timestamp", Class::Immutable).of(Type::Integer),
];

static REQUIRED: &[Cow<'static, str>] = &[Cow::Borrowed("sub"), Cow::Borrowed("azp")];

static VETOES: &[Veto] = &[Veto {
    name: "person",
    code: Code::EventNotAllowed,
    reason: "the token was not issued to the account it speaks of, so it may be a person's login at some application",
    claim: "azp",
    passes: &[&[Test::new("azp", Is::SameAs("sub"))], &[Test::new("azp", Is::SameAs("email"))]],
}];

const DOCS: &str = "cloud.google.com/docs: Verify VM identity; developers.google.com: OpenID Connect";

static RELATIONS: &[Relation] = &[Relation::new(&[], &[Test::new(MACHINE, Is::Digits)], DOCS)];

impl Kind for Google {
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

    fn replay_claim(&self) -> Option<&str> {
        None
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        JobView {
            project: text("sub"),
            project_name: text("email"),
            git_ref: None,
            environment: text(MACHINE_PROJECT),
            run: text(MACHINE),
            attempt: None,
            job: None,
            trigger: None,
            workflow: None,
            run_url: None,
            ends_at: None,
        }
    }

    fn follows(&self, name: &str) -> &'static [&'static str] {
        match name {
            "sub" => &["azp", "email"],
            "email" => &["sub", "azp"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[("email", "sub")]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["sub"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    /// The service account.
    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("sub").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        let mut claims = Claims::from_verified(Object::default())
            .with("iss", URL)
            .with("aud", "https://daypass.example.com")
            .with("sub", "104029292853099978293")
            .with("azp", "104029292853099978293")
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_003_600)
            .with("email", "deploy@acme-shop.iam.gserviceaccount.com")
            .with("email_verified", true);
        claims.put(MACHINE_PROJECT, Json::from("acme-shop"));
        claims.put("/google/compute_engine/project_number", Json::from(739_419_398_126));
        claims.put("/google/compute_engine/zone", Json::from("europe-west3-a"));
        claims.put(MACHINE, Json::from("152986662232938449"));
        claims.put("/google/compute_engine/instance_name", Json::from("deploy-1"));
        claims.put("/google/compute_engine/instance_creation_timestamp", Json::from(1_789_990_000));
        claims
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        if text == URL { Ok(()) } else { Err(format!("expected {URL}")) }
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if claims.get("email").is_none() {
            hints.push("the token has no email: the metadata server gives one with format=full".to_owned());
        }
        hints
    }
}

//! SPIFFE: the JWT-SVIDs of a trust domain.
//!
//! The standard asks for `sub`, `aud` and `exp` alone. Daypass also needs `iss`, to know whose keys to ask for (SPIRE:
//! `jwt_issuer`), and `iat`, since without it nobody can tell how old a token is; a token without either is refused rather
//! than believed. SPIRE gives both. A SPIFFE id is a name, but only the trust domain's own registrations give it, so
//! rows pin it, and it says what may run. Agents cache tokens: a role for them needs `token_uses`.
//!
//! Source: github.com/spiffe/spiffe, standards/JWT-SVID.md.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Json, Object};
use crate::refusal::Code;

pub const NAME: &str = "spiffe";

/// JWT-SVIDs.
#[derive(Debug)]
pub struct Spiffe;

static CLAIMS: &[Claim] = &[Claim::always("sub", Class::Immutable).pin().gate()];

static REQUIRED: &[Cow<'static, str>] = &[Cow::Borrowed("sub")];

static VETOES: &[Veto] = &[Veto {
    name: "no-spiffe-id",
    code: Code::ClaimsIncomplete,
    reason: "the subject is no SPIFFE id, so the token is no JWT-SVID",
    claim: "sub",
    passes: &[&[Test::new("sub", Is::Begins("spiffe://"))]],
}];

const STANDARD: &str = "SPIFFE JWT-SVID, section 3.1";

static RELATIONS: &[Relation] = &[Relation::new(&[], &[Test::new("sub", Is::Begins("spiffe://"))], STANDARD)];

impl Kind for Spiffe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// SPIRE gives five minutes unless told otherwise.
    fn ages(&self) -> Ages {
        Ages { lifetime: 3_600, age: 3_600 }
    }

    /// The standard leaves `jti` open.
    fn replay_claim(&self) -> Option<&str> {
        None
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let id = claims.text("sub");
        let domain = id.and_then(|id| id.strip_prefix("spiffe://")).and_then(|rest| rest.split('/').next());
        JobView {
            project: id.map(str::to_owned),
            project_name: id.map(str::to_owned),
            environment: domain.map(str::to_owned),
            ..JobView::default()
        }
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

    /// The workload.
    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("sub").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        Claims::from_verified(Object::default())
            .with("iss", "https://oidc-discovery.acme.example")
            .with("aud", Json::Array(vec![Json::from("https://daypass.example.com")]))
            .with("sub", "spiffe://acme.example/ns/shop/sa/deploy")
            .with("iat", 1_790_000_000)
            .with("exp", 1_790_000_300)
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        super::https_url(text).map(|_| ())
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(id) = claims.text("sub") {
            hints.push(format!("the token is of {id}"));
        }
        hints
    }
}

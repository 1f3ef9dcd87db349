//! Microsoft Entra ID: the managed identities of Azure, by their access tokens of either version.
//!
//! A tenant is an issuer of its own and signs the tokens of its people and applications too; `xms_mirid`, which names the
//! resource of a managed identity, must be there, and a token whose subject is not the identity itself is vetoed. Rows pin
//! `oid`, which also says what may run: the identity is the workload's. Azure hands out the same token for up to a day, so
//! a role for it needs `token_uses`, and its tokens are believed for that long. For tokens of the first version the keys
//! lie elsewhere: `jwks_url = "https://login.microsoftonline.com/TENANT/discovery/keys"`.
//!
//! Source: learn.microsoft.com, Access token claims reference; Managed identities.

use std::borrow::Cow;

use super::issuer::{Ages, Claim, Class, JobView, Kind, Type, Veto};
use super::rule::{Is, Relation, Test};
use crate::claims::{Claims, Object};
use crate::refusal::Code;

pub const NAME: &str = "azure";

/// Managed identities.
#[derive(Debug)]
pub struct Azure;

static CLAIMS: &[Claim] = &[
    Claim::always("sub", Class::Immutable),
    Claim::always("oid", Class::Immutable).pin().gate(),
    Claim::always("tid", Class::Immutable),
    Claim::sometimes("appid", Class::Immutable),
    Claim::sometimes("azp", Class::Immutable),
    Claim::sometimes("appidacr", Class::Admin),
    Claim::sometimes("azpacr", Class::Admin),
    Claim::sometimes("idp", Class::Admin),
    Claim::sometimes("idtyp", Class::Admin),
    Claim::sometimes("roles", Class::Admin).of(Type::Strings),
    Claim::sometimes("ver", Class::Admin),
    Claim::always("xms_mirid", Class::Admin).folded(),
    Claim::sometimes("xms_az_rid", Class::Admin).folded(),
    Claim::always("uti", Class::Immutable),
];

static REQUIRED: &[Cow<'static, str>] =
    &[Cow::Borrowed("sub"), Cow::Borrowed("oid"), Cow::Borrowed("tid"), Cow::Borrowed("uti"), Cow::Borrowed("xms_mirid")];

static VETOES: &[Veto] = &[Veto {
    name: "person",
    code: Code::EventNotAllowed,
    reason: "a token whose subject is not the identity itself was made for a person at an application",
    claim: "oid",
    passes: &[&[Test::new("oid", Is::SameAs("sub"))]],
}];

const DOCS: &str = "learn.microsoft.com: Access token claims reference";

static RELATIONS: &[Relation] = &[
    Relation::new(&[], &[Test::new("xms_mirid", Is::Begins("/"))], DOCS),
    Relation::new(&[], &[Test::new("ver", Is::OneOf(&["1.0", "2.0"]))], DOCS),
];

impl Kind for Azure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn claims(&self) -> &[Claim] {
        CLAIMS
    }

    fn required(&self) -> &[Cow<'static, str>] {
        REQUIRED
    }

    /// A day, from five minutes before it was asked for.
    fn ages(&self) -> Ages {
        Ages { lifetime: 87_000, age: 87_000 }
    }

    fn replay_claim(&self) -> Option<&str> {
        Some("uti")
    }

    fn job(&self, _issuer_url: &str, claims: &Claims) -> JobView {
        let text = |name: &str| claims.text(name).map(str::to_owned);
        JobView {
            project: text("oid"),
            project_name: text("xms_mirid"),
            git_ref: None,
            environment: None,
            run: text("xms_az_rid"),
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
            "oid" => &["sub", "appid", "azp", "xms_mirid"],
            "xms_mirid" => &["oid", "sub", "appid", "azp"],
            _ => &[],
        }
    }

    fn ids(&self) -> &'static [(&'static str, &'static str)] {
        &[("xms_mirid", "oid")]
    }

    fn starters(&self) -> &'static [&'static str] {
        &["tid", "oid"]
    }

    fn vetoes(&self) -> &[Veto] {
        VETOES
    }

    fn relations(&self) -> &[Relation] {
        RELATIONS
    }

    /// The managed identity.
    fn person(&self, claims: &Claims) -> Option<String> {
        claims.text("sub").map(str::to_owned)
    }

    fn sample(&self) -> Claims {
        let (tenant, identity) = ("9c0a1b2d-1111-4222-8333-4f5e6d7c8b9a", "3e4f5a6b-2222-4333-8444-5a6b7c8d9e0f");
        let application = "7a8b9c0d-3333-4444-8555-6b7c8d9e0f1a";
        Claims::from_verified(Object::default())
            .with("iss", format!("https://login.microsoftonline.com/{tenant}/v2.0").as_str())
            .with("aud", "https://daypass.example.com")
            .with("sub", identity)
            .with("oid", identity)
            .with("tid", tenant)
            .with("azp", application)
            .with("azpacr", "2")
            .with("idtyp", "app")
            .with("iat", 1_790_000_000)
            .with("nbf", 1_790_000_000)
            .with("exp", 1_790_086_700)
            .with("uti", "rOYBx2mZ0kSNYwAzJk4VAA")
            .with("ver", "2.0")
            .with(
                "xms_mirid",
                "/subscriptions/1a2b3c4d-4444-4555-8666-7c8d9e0f1a2b/resourcegroups/shop/providers/\
                 Microsoft.ManagedIdentity/userAssignedIdentities/deploy",
            )
    }

    fn check_url(&self, text: &str) -> Result<(), String> {
        const FORMS: &str = "expected https://login.microsoftonline.com/TENANT-ID/v2.0, or https://sts.windows.net/TENANT-ID/ \
                             with its slash for tokens of the first version";
        let url = super::https_url(text)?;
        let segments: Vec<&str> = url.path().split('/').skip(1).collect();
        let fits = match (url.host_str().unwrap_or_default(), segments.as_slice()) {
            ("login.microsoftonline.com" | "login.microsoftonline.us" | "login.partner.microsoftonline.cn", [tenant, "v2.0"])
            | ("sts.windows.net", [tenant, ""]) => super::is_uuid(tenant),
            _ => false,
        };
        if fits { Ok(()) } else { Err(FORMS.to_owned()) }
    }

    fn hints(&self, claims: &Claims) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(identity) = claims.text("xms_mirid") {
            hints.push(format!("the token is of the managed identity {identity}"));
        }
        hints
    }
}

//! The key that signs jobs signs people too.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::issuers::issuer::REGISTERED;
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "login-tokens",
    severity: Severity::Warning,
    threats: &["N12"],
    summary: "A generic issuer requires no claim that only its jobs carry.",
    reason: "Most issuers sign tokens of people who log in with the same key. What a row does not ask for, such a token need \
             not have.",
    remedy: "List in `required` a claim that only tokens of jobs or services carry.",
    bad: r#"[issuer.builds]
kind     = "generic"
url      = "https://builds.acme.example"
audience = "https://daypass.acme.example"
job      = { project = "build_project", ref = "build_ref" }

[issuer.builds.claims]
build_project = { class = "immutable" }
build_ref     = { class = "writer" }

[[role.deploy.allow]]
issuer        = "builds"
build_project = "77"
build_ref     = "refs/heads/main"
"#,
    good: r#"[issuer.builds]
kind     = "generic"
url      = "https://builds.acme.example"
audience = "https://daypass.acme.example"
required = ["build_project", "build_ref"]
job      = { project = "build_project", ref = "build_ref" }

[issuer.builds.claims]
build_project = { class = "immutable" }
build_ref     = { class = "writer" }

[[role.deploy.allow]]
issuer        = "builds"
build_project = "77"
build_ref     = "refs/heads/main"
"#,
    look: Over::Issuers(look),
};

fn look(_set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    let common = |name: &str| name == "sub" || REGISTERED.iter().any(|(registered, _)| *registered == name);
    if issuer.kind.schema().is_none() || issuer.kind.required().iter().any(|name| !common(name)) {
        return Vec::new();
    }
    vec![Found::whole(format!("tokens of people may pass as jobs of issuer `{}`", issuer.name))]
}

//! A tag that the caller writes decides nothing that should be decided.

use super::look::{CredentialView, Found, Over};
use super::{Lint, Severity};
use crate::issuers::issuer::Class;

pub(super) static LINT: Lint = Lint {
    name: "caller-chooses-tag",
    severity: Severity::Warning,
    threats: &["T3"],
    summary: "A claim that anyone controls becomes a tag that AWS policies may rest on.",
    reason: "Policies that compare session tags (aws:PrincipalTag) believe what stands in them. The workflow's display name, \
             the head ref of a pull request and the actor are whatever the caller makes them.",
    remedy: "Tag with ids of the project and the run.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.cloud]
engine       = "aws"
role_arn     = "arn:aws:iam::123456789012:role/shop-deploy"
session_tags = { team = "{workflow}" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.cloud]
engine       = "aws"
role_arn     = "arn:aws:iam::123456789012:role/shop-deploy"
session_tags = { project = "{repository_id}" }
"#,
    look: Over::Credentials(look),
};

fn look(view: &CredentialView<'_>) -> Vec<Found> {
    let chosen =
        view.open_holes("/session_tags/", Class::Anyone).into_iter().chain(view.open_holes("/source_identity", Class::Anyone));
    let told = |(pointer, claim): (&str, String)| {
        let key = pointer.split('/').nth(1).unwrap_or_default();
        Found::at(key, format!("`{key}` of `{}` is filled from `{claim}`, which the caller chooses", view.credential.name))
    };
    chosen.map(told).collect()
}

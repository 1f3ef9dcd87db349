//! A glob without a beginning reaches what every other team keeps.

use super::look::{CredentialView, Found, Over};
use super::{Lint, Severity};
use crate::credentials::engine::Reach;

pub(super) static LINT: Lint = Lint {
    name: "all-secrets",
    severity: Severity::Error,
    threats: &["T1", "T17"],
    summary: "A credential reaches the secrets of everybody.",
    reason: "The first segment of a path is what separates teams. A glob that begins there takes in every secret that is ever \
             stored, the broker's own customers included.",
    remedy: "Begin the path with the segment of the team or product, as in \"shop/*\".",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.all]
engine = "kv"
path   = "**"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.all]
engine = "kv"
path   = "shop/*"
"#,
    look: Over::Credentials(look),
};

fn look(view: &CredentialView<'_>) -> Vec<Found> {
    let Reach::Secrets { path, .. } = view.credential.engine.reach(&view.credential.params) else { return Vec::new() };
    let first = path.split('/').next().unwrap_or_default();
    if !first.contains('*') {
        return Vec::new();
    }
    vec![Found::at(
        "path",
        format!(
            "`{}` of role `{}` reaches secrets of every first segment that fits `{first}`",
            view.credential.name, view.role.name
        ),
    )]
}

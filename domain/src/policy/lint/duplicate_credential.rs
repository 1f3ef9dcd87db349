//! The same credential twice is one too many to take back.

use super::look::{CredentialView, Found, Over};
use super::{Lint, Severity};
use crate::policy::set::Credential;

pub(super) static LINT: Lint = Lint {
    name: "duplicate-credential",
    severity: Severity::Warning,
    threats: &["C7"],
    summary: "Two credentials of a role are the same.",
    reason: "Every exchange makes both, and both are leases that have to be taken back. One of the two is probably meant to \
             be another.",
    remedy: "Take one of them out, or give it the parameters that were meant.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.first]
engine = "kv"
path   = "shop/registry"

[role.deploy.credential.second]
engine = "kv"
path   = "shop/registry"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.first]
engine = "kv"
path   = "shop/registry"
"#,
    look: Over::Credentials(look),
};

fn look(view: &CredentialView<'_>) -> Vec<Found> {
    let own = view.credential;
    let same = |other: &&Credential| other.engine.name() == own.engine.name() && other.params == own.params;
    let twin = view.role.credentials.iter().take_while(|other| other.name != own.name).find(same);
    twin.map(|twin| Found::whole(format!("`{}` of role `{}` is the same as `{}`", own.name, view.role.name, twin.name)))
        .into_iter()
        .collect()
}

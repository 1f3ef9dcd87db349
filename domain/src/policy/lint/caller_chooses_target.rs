//! What a credential opens must not be up to the caller.

use super::look::{CredentialView, Found, Over};
use super::{Lint, Severity};
use crate::issuers::issuer::Class;

pub(super) static LINT: Lint = Lint {
    name: "caller-chooses-target",
    severity: Severity::Error,
    threats: &["T3"],
    summary: "A claim that writers or outsiders control chooses what the credential opens.",
    reason: "A branch can be called anything. Where its name becomes part of a role's name or a secret's path, whoever makes \
             branches picks the role or the secret.",
    remedy: "Fill the place from ids or an environment, or list the values that the row takes.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.secret]
engine = "kv"
path   = "shop/{workflow}"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"

[role.deploy.credential.secret]
engine = "kv"
path   = "shop/{environment}"
"#,
    look: Over::Credentials(look),
};

fn look(view: &CredentialView<'_>) -> Vec<Found> {
    let open = |pointer| view.open_holes(pointer, Class::Writer);
    let told = |(pointer, claim): (&str, String)| {
        let key = pointer.split('/').nth(1).unwrap_or_default();
        Found::at(key, format!("`{key}` of `{}` is filled from `{claim}`, which the caller chooses", view.credential.name))
    };
    ["/role_arn", "/path", "/session_policy"].into_iter().flat_map(open).map(told).collect()
}

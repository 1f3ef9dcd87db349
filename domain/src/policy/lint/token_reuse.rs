//! A token that works twice works for a thief once.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{PolicySet, Role};

pub(super) static LINT: Lint = Lint {
    name: "token-reuse",
    severity: Severity::Warning,
    threats: &["N9"],
    summary: "One token can be exchanged several times.",
    reason: "Single use is what makes a token worthless that turns up in a log, an artifact or a proxy after the job used it.",
    remedy: "Leave token_uses out; later asks of the job use its session.",
    bad: r#"[role.deploy]
token_uses = 20

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    good: r#"[role.deploy]
token_uses = 1

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Roles(look),
};

fn look(_set: &PolicySet, role: &Role) -> Vec<Found> {
    if role.token_uses == 1 {
        return Vec::new();
    }
    vec![Found::at("token_uses", format!("a token can become role `{}` {} times", role.name, role.token_uses))]
}

//! Nobody should become an operator alone.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "operator-without-environment",
    severity: Severity::Error,
    threats: &["T17"],
    summary: "A row gives rights over the broker without an environment that others guard.",
    reason: "With a ref alone, whoever may merge there, or takes over one such account, operates the broker at once. \
             Reviewers of an environment are the second pair of eyes.",
    remedy: "Ask for an environment with required reviewers (GitLab: environment_protected = \"true\").",
    bad: r#"[[role.operators.allow]]
issuer        = "github"
repository_id = "640001"
ref           = "refs/heads/main"

[role.operators.credential.rights]
engine = "operator"
rights = ["policy.write"]
"#,
    good: r#"[[role.operators.allow]]
issuer        = "github"
repository_id = "640001"
ref           = "refs/heads/main"
environment   = "operators"

[role.operators.credential.rights]
engine = "operator"
rights = ["policy.write"]
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    if row.role.rights().is_empty() || row.environment_guards() || !row.could_be_guarded() {
        return Vec::new();
    }
    vec![Found::whole(format!("{} gives rights over the broker to whoever can run code on the ref", row.name()))]
}

//! Whoever operates the broker can hand out everything it has.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "operator-waives",
    severity: Severity::Error,
    threats: &["T17"],
    summary: "A row of a role for operators waives a rule.",
    reason: "Rights over the broker are rights over every secret and every role. A veto that is lifted here is lifted for all \
             of them.",
    remedy: "Give operators a repository, a ref and an environment of their own, without waivers.",
    bad: r#"[[role.operators.allow]]
issuer        = "github"
repository_id = "640001"
ref           = "refs/heads/main"
environment   = "operators"
waive         = { self-hosted-runner = "our runners are closer" }

[role.operators.credential.rights]
engine = "operator"
rights = ["secrets.write"]
"#,
    good: r#"[[role.operators.allow]]
issuer        = "github"
repository_id = "640001"
ref           = "refs/heads/main"
environment   = "operators"

[role.operators.credential.rights]
engine = "operator"
rights = ["secrets.write"]
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let waived = row.row.waive.keys().filter(|_| !row.role.rights().is_empty());
    waived
        .map(|name| {
            Found::at(&format!("waive.{name}"), format!("{} gives rights over the broker and waives `{name}`", row.name()))
        })
        .collect()
}

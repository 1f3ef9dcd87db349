//! On a shared issuer everybody has tokens.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "no-immutable-claim",
    severity: Severity::Error,
    threats: &["T1", "T3", "T4"],
    summary: "Nothing in the row is beyond the reach of a stranger.",
    reason: "Anyone can open an account with the CI vendor and get tokens of the same issuer. Names, refs and workflow files \
             are theirs to choose; only ids are not.",
    remedy: "Pin the project by its id, or at least the organisation by its own.",
    bad: r#"[[role.deploy.allow]]
issuer           = "github"
repository_owner = "acme"
ref              = "refs/heads/main"
waive            = { no-project-pin = "all our repositories" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    if row.identities().next().is_some() {
        return Vec::new();
    }
    vec![Found::whole(format!("{} pins no id, so that a stranger's project can satisfy it", row.name()))]
}

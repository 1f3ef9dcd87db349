//! What is waived is worth a second look now and then.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "waived",
    severity: Severity::Note,
    threats: &["T13", "T14", "T15"],
    summary: "The row waives a veto or a rule.",
    reason: "Waivers are how exceptions stay visible: each has a reason in the file, and this list holds them all. A waiver \
             is its own acceptance.",
    remedy: "Nothing, as long as the reason holds.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
waive         = { self-hosted-runner = "the release farm is rebuilt for every job" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let waived = row.row.waive.iter();
    let told =
        |(name, reason)| Found::at(&format!("waive.{name}"), format!("{} waives `{name}`", row.name())).waived(Some(reason));
    waived.map(told).collect()
}

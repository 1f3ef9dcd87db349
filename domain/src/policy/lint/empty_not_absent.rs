//! GitHub sends an empty text where one expects nothing.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::github;
use crate::policy::pattern::Pattern;

pub(super) static LINT: Lint = Lint {
    name: "empty-not-absent",
    severity: Severity::Warning,
    threats: &["T2"],
    summary: "A row asks whether a claim is there that GitHub always sends, empty where there is nothing to say.",
    reason: "head_ref and base_ref are \"\" outside pull requests. `present` then holds for every job and `absent` for none: \
             the row lets in all or nobody.",
    remedy: "Ask for the event with event_name, or for the empty text.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
head_ref      = { present = true }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = "push"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let empty = |claim: &&str| row.condition(claim).is_some_and(|it| matches!(it.pattern, Pattern::Present | Pattern::Absent));
    let asked = ["base_ref", "head_ref"].into_iter().filter(|_| row.is(github::NAME)).filter(empty);
    asked.map(|claim| Found::at(claim, format!("GitHub sends `{claim}` in every token, empty outside pull requests"))).collect()
}

//! An environment guards a ref only where somebody set it up to.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::issuer::Claim;

pub(super) static LINT: Lint = Lint {
    name: "environment-without-ref",
    severity: Severity::Warning,
    threats: &["T12"],
    summary: "An environment is all that says which code may run.",
    reason: "An environment without branch rules or reviewers, which is how it begins, can be named by a job on any branch. \
             The token does not tell whether it has them.",
    remedy: "Name the ref as well; if the environment restricts branches and that is meant, accept the finding and say so.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
environment   = "production"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let tells_code = |claim: &Claim| claim.gates_code && !claim.name.contains("environment");
    let could = row.issuer.kind.claims().iter().any(tells_code);
    let told = row.row.conditions.iter().any(|it| row.claim(it).is_some_and(tells_code) || it.claim.contains("workflow_ref"));
    let environment = row.row.conditions.iter().find(|it| row.claim(it).is_some_and(|claim| claim.gates_code));
    match environment.filter(|_| could && !told) {
        Some(it) => vec![Found::at(&it.claim, format!("{} takes any ref that names the environment", row.name()))],
        None => Vec::new(),
    }
}

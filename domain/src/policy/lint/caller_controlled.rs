//! A condition on what the caller writes keeps nobody out.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::issuer::Class;
use crate::policy::pattern::Pattern;

pub(super) static LINT: Lint = Lint {
    name: "caller-controlled",
    severity: Severity::Warning,
    threats: &["T3"],
    summary: "A condition rests on a claim that the caller controls.",
    reason: "The workflow's display name, the head ref and the actor are chosen by whoever makes the job. Such a condition \
             reads like a guard and is none.",
    remedy: "Leave it out, or pin what outsiders cannot choose: job_workflow_ref instead of workflow, an environment instead \
             of an actor.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
workflow      = "Deploy"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
job_workflow_ref = "acme/shop/.github/workflows/deploy.yml@refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let controlled = row.row.conditions.iter().filter(|it| {
        let claim = row.claim(it).filter(|claim| claim.class == Class::Anyone);
        let alone = claim.is_some_and(|claim| claim.personal) && row.waives("no-code-gate");
        let empty = matches!(it.pattern, Pattern::Absent | Pattern::Present);
        claim.is_some() && !alone && !empty
    });
    controlled.map(|it| Found::at(&it.claim, format!("`{}` in {} is what the caller makes it", it.claim, row.name()))).collect()
}

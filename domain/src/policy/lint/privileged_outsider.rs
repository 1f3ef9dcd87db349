//! Outsiders' input with insiders' rights is how repositories are taken over.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "privileged-outsider",
    severity: Severity::Error,
    threats: &["T13"],
    summary: "Events that outsiders cause get the role, and no environment stands in between.",
    reason: "pull_request_target, workflow_run, issue_comment and their like run in the project itself, with its rights, on \
             what a stranger wrote. One unquoted title or one checkout of the head is enough.",
    remedy: "Take the waiver out; where such a job is needed, ask for an environment with required reviewers.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = "pull_request_target"
waive         = { pull-request-target = "labels pull requests" }
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
    const PRIVILEGED: &[&str] = &["outsider-event", "pull-request-target", "workflow-run"];
    let waived = PRIVILEGED.iter().filter(|veto| row.waives(veto) && !row.environment_guards());
    let told = |veto: &&str| {
        let message = format!("{} waives `{veto}`, and no environment stands between outsiders and the role", row.name());
        Found::at(&format!("waive.{veto}"), message)
    };
    waived.map(told).collect()
}

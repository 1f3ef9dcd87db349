//! Who calls is pinned, who is called is not.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "caller-workflow-only",
    severity: Severity::Warning,
    threats: &["T11"],
    summary: "A row pins the calling workflow, and with it whatever it calls.",
    reason: "workflow_ref is the file that the run began with. Its jobs may come from any reusable workflow it names, at any \
             ref, and those run with the same token but for job_workflow_ref.",
    remedy: "Pin job_workflow_ref, the file that the job itself comes from.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
workflow_ref  = "acme/shop/.github/workflows/release.yml@refs/heads/main"
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
    let callee = ["job_workflow_ref", "job_workflow_sha"].iter().any(|claim| row.names(claim));
    if !row.names("workflow_ref") || callee {
        return Vec::new();
    }
    vec![Found::at("workflow_ref", format!("{} pins the workflow that calls, not the one that the job comes from", row.name()))]
}

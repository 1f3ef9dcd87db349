//! A fork's job with the target's identity is an outsider inside.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "fork-identity",
    severity: Severity::Error,
    threats: &["T14"],
    summary: "A waiver lets jobs of forks in, whichever fork it is.",
    reason: "A merge-request pipeline from a fork can run with the claims of the project it asks to be merged into. Without \
             the vetoes nothing but job_project_id tells the two apart.",
    remedy: "Take the waiver out, or pin job_project_id to the project whose jobs may come in.",
    bad: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
ref_protected = "true"
pipeline_source = "merge_request_event"
waive         = { fork-merge-request = "previews for contributors", foreign-project = "previews for contributors" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
ref_protected = "true"
pipeline_source = "push"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let waived = ["foreign-project", "fork-merge-request"].into_iter().find(|veto| row.waives(veto));
    match waived.filter(|_| !row.pins("job_project_id")) {
        Some(veto) => {
            vec![Found::at("waive", format!("{} waives `{veto}` and does not say which project's jobs it means", row.name()))]
        }
        None => Vec::new(),
    }
}

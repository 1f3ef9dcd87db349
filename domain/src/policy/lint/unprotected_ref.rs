//! On GitLab every developer can push to a ref that is not protected.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::gitlab;

pub(super) static LINT: Lint = Lint {
    name: "unprotected-ref",
    severity: Severity::Warning,
    threats: &["T3"],
    summary: "A GitLab row names a ref without asking whether it is protected.",
    reason: "Without protection a developer pushes to the branch, deletes it and makes it anew, or moves the tag. \
             ref_protected tells what GitLab thinks of it.",
    remedy: "Add ref_protected = \"true\".",
    bad: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
ref_protected = "true"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let guarded = row.ref_is_protected() || row.equals("environment_protected", "true");
    let named = ["ref_path", "ref"].into_iter().find(|claim| row.names(claim));
    match named.filter(|_| row.is(gitlab::NAME) && !guarded) {
        Some(claim) => vec![Found::at(claim, format!("{} takes the ref whether it is protected or not", row.name()))],
        None => Vec::new(),
    }
}

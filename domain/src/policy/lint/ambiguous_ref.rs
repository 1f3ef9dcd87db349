//! A tag can bear the name of a branch.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::gitlab;

pub(super) static LINT: Lint = Lint {
    name: "ambiguous-ref",
    severity: Severity::Warning,
    threats: &["T7"],
    summary: "A row names a GitLab ref without saying whether it is a branch or a tag.",
    reason: "GitLab's ref is the short name. A tag named main runs the code that the tag points to, which nobody merged, and \
             its token says ref = \"main\" too.",
    remedy: "Add ref_type = \"branch\", or name the whole ref with ref_path = \"refs/heads/main\".",
    bad: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref           = "main"
ref_protected = "true"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref           = "main"
ref_type      = "branch"
ref_protected = "true"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let told = ["ref_type", "ref_path"].iter().any(|claim| row.names(claim));
    if !row.is(gitlab::NAME) || !row.names("ref") || told {
        return Vec::new();
    }
    vec![Found::at("ref", format!("{} takes a tag of that name as well as the branch", row.name()))]
}

//! Protection says little where everything is protected.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "any-protected-ref",
    severity: Severity::Note,
    threats: &["T12"],
    summary: "Any protected ref may use the row.",
    reason: "ref_protected is \"true\" for every branch and tag that some rule protects. A rule over all branches makes it \
             true for a branch that anybody pushed a minute ago.",
    remedy: "Name the ref as well.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref_protected = "true"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
ref_protected = "true"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let narrowed = row.row.conditions.iter().any(|it| {
        let claim = row.claim(it);
        it.claim != "ref_protected"
            && (claim.is_some_and(|claim| claim.gates_code) || it.claim == "ref" || it.claim.contains("workflow"))
    });
    if narrowed || !row.ref_is_protected() {
        return Vec::new();
    }
    vec![Found::at("ref_protected", format!("{} takes every protected ref", row.name()))]
}

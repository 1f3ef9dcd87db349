//! A subject is a sentence, and its template can be changed.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::issuer::Class;

pub(super) static LINT: Lint = Lint {
    name: "sub-condition",
    severity: Severity::Warning,
    threats: &["T5", "T6"],
    summary: "A condition rests on a subject whose form others can change.",
    reason: "Administrators of a repository or organisation can re-template the subject, so that one shape imitates another; \
             parts run together where names hold the separator.",
    remedy: "Ask for the claims that the subject is made of, each by its own name.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
sub           = "repo:acme/shop:ref:refs/heads/main"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let sub = row.condition("sub").filter(|it| row.claim(it).is_some_and(|claim| claim.class >= Class::Writer));
    sub.map(|_| Found::at("sub", format!("{} rests on a subject that can be re-templated", row.name()))).into_iter().collect()
}

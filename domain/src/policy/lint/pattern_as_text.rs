//! A plain text is compared as it stands.

use super::look::{Found, Over, RowView};
use super::words::mistaken;
use super::{Lint, Severity};
use crate::issuers::issuer::Class;

pub(super) static LINT: Lint = Lint {
    name: "pattern-as-text",
    severity: Severity::Error,
    threats: &["T8", "T1"],
    summary: "A text looks like a pattern, and is compared letter by letter.",
    reason: "Stars work in { glob = \"…\" } only, and there are no regular expressions and no variables. The row lets nobody \
             in, until somebody makes it wider than it was meant to be.",
    remedy: "Write { glob = \"…\" } for stars; write ids and names out.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/release/*"
environment   = "production"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/heads/release/*" }
environment   = "production"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let ours = |it: &&crate::policy::pattern::Condition| row.claim(it).is_none_or(|claim| claim.class != Class::Anyone);
    for condition in row.row.conditions.iter().filter(ours) {
        for text in mistaken(condition) {
            found.push(Found::at(&condition.claim, format!("`{text}` in {} is compared letter by letter", row.name())));
        }
    }
    found
}

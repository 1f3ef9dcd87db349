//! One of two names beside the same id is out of date.

use super::look::{Found, Over, RowView};
use super::words::texts;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "name-drift",
    severity: Severity::Warning,
    threats: &["T4"],
    summary: "The same id stands beside different names, or the same name beside different ids.",
    reason: "The project was renamed, or an id was copied from another one. The row with the old name is dead, and the row \
             with the wrong id opens a project that nobody looked at.",
    remedy: "Look both up, and write them alike wherever they stand.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
repository    = "acme/shop"
ref           = "refs/heads/main"

[[role.test.allow]]
issuer        = "github"
repository_id = "637712"
repository    = "acme/store"
ref           = "refs/heads/main"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
repository    = "acme/shop"
ref           = "refs/heads/main"

[[role.test.allow]]
issuer        = "github"
repository_id = "637712"
repository    = "acme/shop"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for condition in &row.row.conditions {
        let Some(claim) = row.id_of(&condition.claim) else { continue };
        let Some((id, name)) = one(row, claim).zip(one(row, &condition.claim)) else { continue };
        let drifted = row.everywhere().filter(|other| other.row.place < row.row.place).find_map(|other| {
            let (other_id, other_name) = one(&other, claim).zip(one(&other, &condition.claim))?;
            let drifts = (id == other_id) != name.eq_ignore_ascii_case(other_name);
            drifts.then(|| format!("`{other_name}` is {other_id} at {}:{}", other.row.place.file, other.row.place.line))
        });
        found.extend(drifted.map(|other| Found::at(&condition.claim, format!("`{name}` is {id} here, and {other}"))));
    }
    found
}

/// The text of a claim, where a row has exactly one.
fn one<'a>(row: &RowView<'a>, claim: &str) -> Option<&'a str> {
    let mut all = row.condition(claim).into_iter().flat_map(texts);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

//! Two spellings of one name are seldom meant.

use super::look::{Found, Over, RowView};
use super::words::{texts};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "case-slip",
    severity: Severity::Warning,
    threats: &["T9"],
    summary: "The same name stands elsewhere in the set in another case of letters.",
    reason: "Refs, paths and ids are compared exactly. Of two spellings one is wrong: its row is dead today, and open to whoever makes a ref of that name.",
    remedy: "Write the name as the CI system does.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637713"
ref           = "refs/heads/Main"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637713"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for condition in row.row.conditions.iter().filter(|it| !it.fold) {
        for text in texts(condition).filter(|text| text.chars().any(|sign| sign.is_ascii_alphabetic())) {
            let slip = row.earlier().filter(|other| other.row.issuer == row.row.issuer).find_map(|other| {
                let others = other.condition(&condition.claim).into_iter().flat_map(texts);
                let near = others.into_iter().find(|near| *near != text && near.eq_ignore_ascii_case(text))?;
                Some((near, other))
            });
            if let Some((near, other)) = slip {
                let place = &other.row.place;
                found.push(Found::at(&condition.claim, format!("`{text}` is spelled `{near}` at {}:{}", place.file, place.line)));
            }
        }
    }
    found
}

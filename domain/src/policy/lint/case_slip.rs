//! Two spellings of one name are seldom meant.

use super::look::{Found, Over, RowView};
use super::words::texts;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "case-slip",
    severity: Severity::Warning,
    threats: &["T9"],
    summary: "The same name stands elsewhere in the set in another case of letters.",
    reason: "Refs, paths and ids are compared exactly. Of two spellings one is wrong: its row is dead today, and open to \
             whoever makes a ref of that name.",
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

/// Of two spellings the one with more capitals is told of, so that only texts with capitals are looked for.
fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for condition in row.row.conditions.iter().filter(|it| !it.fold) {
        for text in texts(condition).filter(|text| capitals(text) > 0) {
            let slip = row.everywhere().find_map(|other| {
                let mut others = other.condition(&condition.claim).into_iter().flat_map(texts);
                let near = others.find(|near| *near != text && near.eq_ignore_ascii_case(text))?;
                let later = capitals(near) == capitals(text) && other.row.place >= row.row.place;
                (capitals(near) <= capitals(text) && !later).then_some((near, other))
            });
            if let Some((near, other)) = slip {
                let place = &other.row.place;
                let message = format!("`{text}` is spelled `{near}` at {}:{}", place.file, place.line);
                found.push(Found::at(&condition.claim, message));
            }
        }
    }
    found
}

fn capitals(text: &str) -> usize {
    text.chars().filter(char::is_ascii_uppercase).count()
}

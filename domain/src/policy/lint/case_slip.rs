//! Two spellings of one name are seldom meant.

use std::collections::HashMap;

use super::least::Least;
use super::look::{Found, Over, RowView};
use super::words::texts;
use super::{Lint, Severity};
use crate::policy::problem::Place;

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
    look: Over::AllRows(look),
};

/// A spelling, with how many capitals it has and where it stands.
type Spelled<'a> = Least<&'a str, (usize, &'a Place)>;

/// Of two spellings the one with more capitals is told of, and of two with as many the later one.
fn look(rows: &[RowView<'_>]) -> Vec<(usize, Found)> {
    let mut names: HashMap<(&str, &str, String), Spelled<'_>> = HashMap::new();
    for row in rows {
        for (claim, text) in exact(row) {
            let key = (row.issuer.name.as_str(), claim, text.to_ascii_lowercase());
            names.entry(key).or_default().take(text, (capitals(text), &row.row.place));
        }
    }
    let mut found = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for (claim, text) in exact(row).filter(|(_, text)| capitals(text) > 0) {
            let key = (row.issuer.name.as_str(), claim, text.to_ascii_lowercase());
            let near = names.get(&key).and_then(|spelled| spelled.but(&text));
            if let Some((near, rank)) = near.filter(|(_, rank)| *rank < (capitals(text), &row.row.place)) {
                let place = rank.1;
                let message = format!("`{text}` is spelled `{near}` at {}:{}", place.file, place.line);
                found.push((at, Found::at(claim, message)));
            }
        }
    }
    found
}

/// The texts that a row compares letter by letter, each with its claim.
fn exact<'a>(row: &RowView<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let conditions = row.row.conditions.iter().filter(|it| !it.fold);
    conditions.flat_map(|condition| texts(condition).map(|text| (condition.claim.as_str(), text)))
}

fn capitals(text: &str) -> usize {
    text.chars().filter(char::is_ascii_uppercase).count()
}

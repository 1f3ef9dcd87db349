//! One of two names beside the same id is out of date.

use std::collections::HashMap;

use super::least::Least;
use super::look::{Found, Over, RowView};
use super::words::texts;
use super::{Lint, Severity};
use crate::policy::problem::Place;

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
    look: Over::AllRows(look),
};

/// An id beside a name, as one row has them.
#[derive(Debug)]
struct Pair<'a> {
    issuer: &'a str,
    claim: &'a str,
    id: &'a str,
    name: &'a str,
    folded: String,
}

/// What stands earliest, with how it is written there.
type Earliest<'a, W> = Least<W, (&'a Place, &'a str)>;

fn look(rows: &[RowView<'_>]) -> Vec<(usize, Found)> {
    let pairs: Vec<(usize, &Place, Pair<'_>)> =
        rows.iter().enumerate().flat_map(|(at, row)| pairs(row).map(move |pair| (at, &row.row.place, pair))).collect();
    let mut names: HashMap<[&str; 3], Earliest<'_, &str>> = HashMap::new();
    let mut ids: HashMap<[&str; 3], Earliest<'_, &str>> = HashMap::new();
    for (_, place, pair) in &pairs {
        let Pair { issuer, claim, id, name, folded } = pair;
        names.entry([issuer, claim, id]).or_default().take(folded, (place, name));
        ids.entry([issuer, claim, folded]).or_default().take(id, (place, name));
    }
    let mut found = Vec::new();
    for (at, place, Pair { issuer, claim, id, name, folded }) in &pairs {
        let renamed = names.get(&[*issuer, *claim, *id]).and_then(|names| names.but(&folded.as_str())).map(|it| (it.1, *id));
        let copied = ids.get(&[*issuer, *claim, folded.as_str()]).and_then(|ids| ids.but(id)).map(|it| (it.1, it.0));
        let earlier = renamed.into_iter().chain(copied).filter(|((other, _), _)| other < place).min();
        if let Some(((other, other_name), other_id)) = earlier {
            let told = format!("`{other_name}` is {other_id} at {}:{}", other.file, other.line);
            found.push((*at, Found::at(claim, format!("`{name}` is {id} here, and {told}"))));
        }
    }
    found
}

/// The names of a row beside which it has their ids, where there is one of each.
fn pairs<'a>(row: &RowView<'a>) -> impl Iterator<Item = Pair<'a>> + use<'a> {
    let row = *row;
    row.row.conditions.iter().filter_map(move |condition| {
        let (id, name) = one(&row, row.id_of(&condition.claim)?).zip(one(&row, &condition.claim))?;
        let (issuer, claim) = (row.issuer.name.as_str(), condition.claim.as_str());
        Some(Pair { issuer, claim, id, name, folded: name.to_ascii_lowercase() })
    })
}

/// The text of a claim, where a row has exactly one.
fn one<'a>(row: &RowView<'a>, claim: &str) -> Option<&'a str> {
    let mut all = row.condition(claim).into_iter().flat_map(texts);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

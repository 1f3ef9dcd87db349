//! Conditions that exclude each other let nobody in.

use super::look::{Found, Over, RowView};
use super::possible::Known;
use super::words::{is_odd, mistaken, sentence, written};
use super::{Lint, Severity};
use crate::policy::pattern::Condition;

pub(super) static LINT: Lint = Lint {
    name: "never-matches",
    severity: Severity::Error,
    threats: &["T10"],
    summary: "No token of the issuer can satisfy the row.",
    reason: "What the row asks for contradicts what tokens of this issuer look like. It reads like an open door, and somebody \
             will make it one by taking out the wrong condition.",
    remedy: "Compare the row with a token, by `daypass policy explain`.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
ref_protected = "yes"
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
    let told_better = |it: &Condition| !mistaken(it).is_empty() || written(it).into_iter().any(is_odd);
    if row.row.conditions.iter().any(told_better) || !row.wrong_ref_forms().is_empty() {
        return Vec::new();
    }
    let known = Known::new(&row.row.conditions);
    let broken_by = |known: Known<'_>| {
        // What a veto strikes is told by that.
        let struck = row.issuer.kind.vetoes().iter().any(|veto| !row.waives(veto.name) && !known.can_pass(veto.passes));
        row.issuer.kind.relations().iter().find(|relation| !struck && !known.allows(relation))
    };
    if let Some(relation) = broken_by(known) {
        let mut tests = relation.then.iter().chain(relation.when);
        let key = tests.find_map(|test| row.condition(test.claim)).map_or("", |it| &it.claim);
        return vec![Found::at(key, format!("no token satisfies {}: {}", row.name(), sentence(relation)))];
    }
    let mut found = Vec::new();
    for condition in &row.row.conditions {
        let values = condition.pattern.values().unwrap_or_default();
        for value in values.iter().filter(|_| values.len() > 1) {
            if let Some(relation) = broken_by(known.with(&condition.claim, value)) {
                let message = format!("{value} stands in vain in {}: {}", row.name(), sentence(relation));
                found.push(Found::at(&condition.claim, message));
            }
        }
    }
    found
}

//! A value that a veto strikes lets nobody in.

use super::look::{Found, Over, RowView};
use super::possible::Known;
use super::{Lint, Severity};
use crate::issuers::rule::Is;

pub(super) static LINT: Lint = Lint {
    name: "vetoed-value",
    severity: Severity::Error,
    threats: &["T13", "T15"],
    summary: "A row lists a value that a veto refuses always.",
    reason: "The row reads as if such jobs came in. They do not, until somebody waives the veto for the whole row to make it \
             work.",
    remedy: "Take the value out; where such jobs are meant, give them a row of their own that waives the veto with a reason.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = ["push", "pull_request_target"]
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = "push"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let known = Known::new(&row.row.conditions);
    let mut found = Vec::new();
    for veto in row.issuer.kind.vetoes().iter().filter(|veto| !row.waives(veto.name)) {
        let tests = || veto.passes.iter().copied().flatten();
        let speaks_of =
            |claim: &str| tests().any(|test| test.claim == claim || matches!(test.is, Is::SameAs(other) if other == claim));
        let dead = row.row.conditions.iter().filter(|it| speaks_of(&it.claim)).find_map(|it| {
            let values = it.pattern.values()?;
            let dead = values.iter().find(|value| !known.with(&it.claim, value).can_pass(veto.passes))?;
            Some((it, dead))
        });
        if let Some((it, value)) = dead {
            found.push(Found::at(
                &it.claim,
                format!("`{}` = {value} in {} is struck by the veto `{}`", it.claim, row.name(), veto.name),
            ));
        }
    }
    found
}

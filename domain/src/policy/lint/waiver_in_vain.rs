//! A waiver that lifts nothing today lifts something tomorrow.

use super::look::{Found, Over, RowView};
use super::possible::Known;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "waiver-in-vain",
    severity: Severity::Warning,
    threats: &["T13", "T15"],
    summary: "A waiver lifts what would not strike.",
    reason: "The row's conditions keep out what the waiver would let in. It was left from an earlier time, and opens the row \
             when the condition changes.",
    remedy: "Take the waiver out.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = "push"
waive         = { pull-request = "previews" }
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
    let vetoes = row.issuer.kind.vetoes().iter().filter(|veto| row.waives(veto.name) && known.must_pass(veto.passes));
    let pinned = row.waives("no-project-pin") && row.identities().any(|claim| claim.pins_project);
    let idle = vetoes.map(|veto| veto.name).chain(pinned.then_some("no-project-pin"));
    idle.map(|name| Found::at(&format!("waive.{name}"), format!("{} waives `{name}`, which would not strike", row.name())))
        .collect()
}

//! A row that another one covers looks like a restriction and is none.

use super::look::{Found, Over, RowView};
use super::possible::covers;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "covered-row",
    severity: Severity::Warning,
    threats: &["T1"],
    summary: "Everything that the row lets in is let in by another row of the role.",
    reason: "Conditions that were added to this row restrict nothing, because a wider row still stands beside it. That is how \
             a tightened policy stays open.",
    remedy: "Take the wider row out, if this one is meant; this one otherwise.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let wider = row.others().find(|other| covers_row(other, row) && (!covers_row(row, other) || other.at < row.at));
    wider
        .map(|other| Found::whole(format!("{} lets in nothing that row {} does not", row.name(), other.at + 1)))
        .into_iter()
        .collect()
}

fn covers_row(wide: &RowView<'_>, narrow: &RowView<'_>) -> bool {
    let vetoes = wide.issuer.kind.vetoes().iter().filter(|veto| narrow.waives(veto.name));
    wide.row.issuer == narrow.row.issuer
        && vetoes.into_iter().all(|veto| wide.waives(veto.name))
        && wide.row.conditions.iter().all(|wide| narrow.condition(&wide.claim).is_some_and(|narrow| covers(wide, narrow)))
}

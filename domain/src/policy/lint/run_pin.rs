//! A run's number comes once.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "run-pin",
    severity: Severity::Warning,
    threats: &["T10"],
    summary: "A condition names one run, which never comes again.",
    reason: "Run, pipeline and job ids are new each time. The row was made from a token and fits that token alone; it will be \
             widened in a hurry.",
    remedy: "Pin the project's id instead.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
run_id        = "18032711405"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let of_runs = row.row.conditions.iter().filter(|it| row.pins(&it.claim) && row.is_of_run(&it.claim));
    of_runs.map(|it| Found::at(&it.claim, format!("`{}` in {} is another one in every run", it.claim, row.name()))).collect()
}

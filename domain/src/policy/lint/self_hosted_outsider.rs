//! A stranger's code on a machine that remembers.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::refusal::Code;

pub(super) static LINT: Lint = Lint {
    name: "self-hosted-outsider",
    severity: Severity::Error,
    threats: &["T15", "T13"],
    summary: "Code of pull requests may come from self-hosted runners.",
    reason: "A self-hosted runner keeps files, processes and credentials between jobs. One that runs what strangers propose \
             hands the next job's token to them.",
    remedy: "Waive one of the two at most: run proposals on hosted runners.",
    bad: r#"[[role.preview.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/pull/*/merge" }
environment   = "preview"
event_name    = "pull_request"
waive         = { pull-request = "previews", self-hosted-runner = "they need a GPU" }
"#,
    good: r#"[[role.preview.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/pull/*/merge" }
environment   = "preview"
event_name    = "pull_request"
waive         = { pull-request = "previews" }
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let of_requests = |code| matches!(code, Code::EventNotAllowed | Code::ForkNotAllowed);
    let requests = row.issuer.kind.vetoes().iter().find(|veto| of_requests(veto.code) && row.waives(veto.name));
    let both = requests.filter(|_| row.waives("self-hosted-runner"));
    both.map(|veto| Found::at("waive", format!("{} waives `{}` and `self-hosted-runner` together", row.name(), veto.name)))
        .into_iter()
        .collect()
}

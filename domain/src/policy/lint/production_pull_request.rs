//! What nobody accepted yet has no business in production.

use super::look::{Found, Over, RowView};
use super::words::production_like;
use super::{Lint, Severity};
use crate::issuers::gitlab;
use crate::refusal::Code;

pub(super) static LINT: Lint = Lint {
    name: "production-pull-request",
    severity: Severity::Error,
    threats: &["T13"],
    summary: "Pull or merge requests reach a role for production.",
    reason: "A pull request runs code that is up for review. Whoever can open one in the project holds production's \
             credentials before anybody looked.",
    remedy: "Give previews a role of their own, with credentials that production does not share.",
    bad: r#"[[role.shop-prod.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/pull/*/merge" }
environment   = "production"
event_name    = "pull_request"
waive         = { pull-request = "smoke tests" }
"#,
    good: r#"[[role.shop-preview.allow]]
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
    const TOLD_ELSEWHERE: &[&str] = &["outsider-event", "pull-request-target", "workflow-run"];
    let elsewhere = |name: &str| TOLD_ELSEWHERE.contains(&name) || (row.is(gitlab::NAME) && !row.pins("job_project_id"));
    let of_requests = |code| matches!(code, Code::EventNotAllowed | Code::ForkNotAllowed);
    let vetoes = row.issuer.kind.vetoes().iter().filter(|veto| of_requests(veto.code) && row.waives(veto.name));
    let waived = vetoes.filter(|veto| production_like(row.role) && !elsewhere(veto.name));
    waived
        .map(|veto| Found::at(&format!("waive.{}", veto.name), format!("{} waives `{}` for production", row.name(), veto.name)))
        .collect()
}

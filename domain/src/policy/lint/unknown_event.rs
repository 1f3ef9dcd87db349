//! An event that does not exist starts no job.

use super::look::{Found, Over, RowView};
use super::words::{is_odd, is_pattern, texts};
use super::{Lint, Severity};
use crate::issuers::{github, gitlab};
use crate::policy::problem::nearest;

/// docs.github.com: events that trigger workflows; `dynamic` is what GitHub starts by itself.
const EVENTS: &[&str] = &[
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "commit_comment",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "dynamic",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "milestone",
    "page_build",
    "project",
    "project_card",
    "project_column",
    "public",
    "pull_request",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_review_thread",
    "pull_request_target",
    "push",
    "registry_package",
    "release",
    "repository_dispatch",
    "schedule",
    "star",
    "status",
    "watch",
    "workflow_dispatch",
    "workflow_run",
];
/// docs.gitlab.com: predefined variables, CI_PIPELINE_SOURCE.
const SOURCES: &[&str] = &[
    "api",
    "chat",
    "container_registry_push",
    "duo_workflow",
    "external",
    "external_pull_request_event",
    "merge_request_event",
    "ondemand_dast_scan",
    "ondemand_dast_validation",
    "parent_pipeline",
    "pipeline",
    "pipeline_execution_policy_schedule",
    "push",
    "schedule",
    "security_orchestration_policy",
    "trigger",
    "web",
    "webide",
];

pub(super) static LINT: Lint = Lint {
    name: "unknown-event",
    severity: Severity::Warning,
    threats: &["T13", "T10"],
    summary: "No event or source of that name is known.",
    reason: "The row waits for jobs that never come. A reusable workflow's job carries its caller's event, never workflow_call.",
    remedy: "Write the event as the token does; `daypass policy explain` shows one.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = ["push", "workflow-dispatch"]
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
event_name    = ["push", "workflow_dispatch"]
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let (claim, known) = match row.issuer.kind.name() {
        github::NAME => ("event_name", EVENTS),
        gitlab::NAME => ("pipeline_source", SOURCES),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for text in row
        .condition(claim)
        .into_iter()
        .flat_map(texts)
        .filter(|text| !known.contains(text) && !is_pattern(text) && !is_odd(text))
    {
        let mut told = Found::at(claim, format!("no job of `{}` says `{claim}` = \"{text}\"", row.issuer.name));
        if let Some(near) = nearest(text, known.iter().copied()) {
            told = told.help(format!("did you mean `{near}`?"));
        }
        found.push(told);
    }
    found
}

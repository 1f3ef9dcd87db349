//! On GitLab any job may name any environment.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::issuers::gitlab;

pub(super) static LINT: Lint = Lint {
    name: "unguarded-environment",
    severity: Severity::Warning,
    threats: &["T12", "T3"],
    summary: "A row names a GitLab environment without asking whether it is protected.",
    reason: "The environment's name stands in .gitlab-ci.yml, which every branch can change. Only environment_protected tells \
             that GitLab checked who may deploy.",
    remedy: "Add environment_protected = \"true\".",
    bad: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
ref_protected = "true"
environment   = "production"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "gitlab"
project_id    = "4242"
ref_path      = "refs/heads/main"
ref_protected = "true"
environment   = "production"
environment_protected = "true"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    if !row.is(gitlab::NAME) || !row.names("environment") || row.equals("environment_protected", "true") {
        return Vec::new();
    }
    vec![Found::at("environment", format!("any job of the project can name the environment of {}", row.name()))]
}

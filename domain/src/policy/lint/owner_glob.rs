//! A star where the owner's name ends takes in other owners.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};
use crate::policy::pattern::Pattern;

/// Claims in which the owner stands, and before which separator its name ends.
const OWNER_AT: &[(&str, usize)] = &[
    ("ci_config_ref_uri", 1),
    ("job_namespace_path", 0),
    ("job_project_path", 0),
    ("job_workflow_ref", 0),
    ("namespace_path", 0),
    ("organization_slug", 0),
    ("project_path", 0),
    ("repository", 0),
    ("repository_owner", 0),
    ("sub", 1),
    ("terraform_organization_name", 0),
    ("workflow_ref", 0),
];

pub(super) static LINT: Lint = Lint {
    name: "owner-glob",
    severity: Severity::Error,
    threats: &["T1"],
    summary: "A glob takes in names of other owners.",
    reason: "acme* is acme and acme-evil, and an organisation of that name costs nothing. This is the commonest way in which \
             trust in a CI system was abused.",
    remedy: "Write the owner out up to the /, and pin its id.",
    bad: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
job_workflow_ref    = { glob = "acme*/pipelines/.github/workflows/deploy.yml@refs/heads/main" }
"#,
    good: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
job_workflow_ref    = { glob = "acme/*/.github/workflows/deploy.yml@refs/heads/main" }
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (claim, at) in OWNER_AT {
        let Some(Pattern::Glob(glob)) = row.condition(claim).map(|it| &it.pattern) else { continue };
        let owner: Vec<&str> = glob.as_str().split(['/', ':']).take(at + 1).collect();
        if owner.iter().any(|segment| segment.contains('*')) {
            found.push(Found::at(claim, format!("`{glob}` in {} takes in other owners", row.name())));
        }
    }
    found
}

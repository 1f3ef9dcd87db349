//! A workflow file without its ref is any version of it.

use super::look::{Found, Over, RowView};
use super::words::{is_odd, written};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "workflow-without-ref",
    severity: Severity::Error,
    threats: &["T11", "T7"],
    summary: "A workflow is pinned without the ref that it comes from.",
    reason: "The file at another ref is another file: whoever can push a branch to the workflow's repository writes the job \
             that gets the role.",
    remedy: "Write the ref out, as in \"acme/shop/.github/workflows/deploy.yml@refs/heads/main\", or pin job_workflow_sha.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
job_workflow_ref = { glob = "acme/pipelines/.github/workflows/deploy.yml@refs/heads/**" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
job_workflow_ref = "acme/pipelines/.github/workflows/deploy.yml@refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let sha = |claim: &str| claim == "job_workflow_ref" && row.pins("job_workflow_sha");
    let mut found = Vec::new();
    for condition in ["ci_config_ref_uri", "job_workflow_ref", "workflow_ref"].iter().filter_map(|claim| row.condition(claim)) {
        let open = written(condition).into_iter().find(|text| !tells_ref(text) && !is_odd(text));
        if let Some(text) = open.filter(|_| !sha(&condition.claim)) {
            found.push(Found::at(&condition.claim, format!("`{text}` in {} does not say which ref of the workflow", row.name())));
        }
    }
    found
}

/// Whether a name stands behind the @, more than the folder of all branches or tags.
fn tells_ref(text: &str) -> bool {
    let Some((_, git_ref)) = text.rsplit_once('@') else { return false };
    let name = ["refs/heads/", "refs/tags/", "refs/"].iter().find_map(|head| git_ref.strip_prefix(head)).unwrap_or(git_ref);
    name.chars().any(char::is_alphanumeric)
}

//! main and refs/heads/main are two texts.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "wrong-ref-form",
    severity: Severity::Error,
    threats: &["T10", "T7"],
    summary: "A ref stands in a form that tokens of this issuer do not carry.",
    reason: "GitHub's ref and GitLab's ref_path are whole (\"refs/heads/main\"), GitLab's ref is short (\"main\"). The row \
             lets nobody in, until somebody takes the condition out.",
    remedy: "Write the form that the token carries.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "main"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let wrong = row.wrong_ref_forms().into_iter();
    wrong.map(|(claim, text)| Found::at(claim, format!("`{claim}` of {} is never `{text}`", row.issuer.kind.name()))).collect()
}

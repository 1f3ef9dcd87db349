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
    wrong
        .map(|(claim, text)| {
            let found = Found::at(claim, format!("`{claim}` of {} is never `{text}`", row.issuer.kind.name()));
            found.help(right(claim, text))
        })
        .collect()
}

/// The form that was meant.
fn right(claim: &str, text: &str) -> String {
    if text.starts_with("refs/") {
        return format!("write `ref_path = \"{text}\"`: `{claim}` is the name alone");
    }
    if text.starts_with("heads/") || text.starts_with("tags/") {
        return format!("write `refs/{text}`");
    }
    format!("write `refs/heads/{text}`; a tag is `refs/tags/{text}`")
}

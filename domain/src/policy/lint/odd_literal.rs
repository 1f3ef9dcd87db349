//! What reviewers do not see they do not review.

use super::look::{Found, Over, RowView};
use super::words::{is_odd, written};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "odd-literal",
    severity: Severity::Error,
    threats: &["T7"],
    summary: "A text holds signs that cannot be seen.",
    reason: "Spaces at an end, control characters and signs that turn the direction of writing make a text look like another \
             one in a review. No claim of a CI system has them.",
    remedy: "Type the text anew.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main "
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for condition in &row.row.conditions {
        for text in written(condition).into_iter().filter(|text| is_odd(text)) {
            found.push(Found::at(
                &condition.claim,
                format!("`{}` is {}, with what cannot be seen", condition.claim, visible(text)),
            ));
        }
    }
    found
}

fn visible(text: &str) -> String {
    let sign = |c: char| if c.is_ascii_graphic() { c.to_string() } else { c.escape_unicode().to_string() };
    text.chars().map(sign).collect()
}

//! Everyone who can push can make a branch that fits a glob.

use super::look::{Found, Over, RowView};
use super::words::production_like;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "production-ref-glob",
    severity: Severity::Error,
    threats: &["T1", "T3"],
    summary: "A role for production takes any ref that fits a glob, protected or not.",
    reason: "A branch or tag that fits is one push away for everyone with write access, and its code was reviewed by nobody.",
    remedy: "Name the branch, or add ref_protected = \"true\", or an environment that restricts branches.",
    bad: r#"[[role.shop-prod.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/heads/release/*" }
"#,
    good: r#"[[role.shop-prod.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/heads/release/*" }
ref_protected = "true"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let open = row.open_ref_glob().filter(|_| production_like(row.role));
    open.map(|(claim, glob)| Found::at(claim, format!("{} takes every ref that fits `{glob}`, protected or not", row.name())))
        .into_iter()
        .collect()
}

//! Everyone who can push can make a ref that fits a glob.

use super::look::{Found, Over, RowView};
use super::words::production_like;
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "unguarded-ref-glob",
    severity: Severity::Warning,
    threats: &["T3", "T1"],
    summary: "A row takes any ref that fits a glob, protected or not.",
    reason: "A branch or tag that fits is one push away for everyone with write access, and may point at code that nobody \
             reviewed. Tags are protected less often than branches.",
    remedy: "Name the ref, or add ref_protected = \"true\", or an environment that restricts refs.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/tags/v*" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = { glob = "refs/tags/v*" }
environment   = "release"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let open = row.open_ref_glob().filter(|_| !production_like(row.role));
    open.map(|(claim, glob)| Found::at(claim, format!("{} takes every ref that fits `{glob}`, protected or not", row.name())))
        .into_iter()
        .collect()
}

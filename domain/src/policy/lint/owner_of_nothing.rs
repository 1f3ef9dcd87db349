//! A fence around no file keeps nobody in.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::problem::Place;
use crate::policy::set::PolicySet;

pub(super) static LINT: Lint = Lint {
    name: "owner-of-nothing",
    severity: Severity::Warning,
    threats: &["T17"],
    summary: "An owner's `files` take in no file of the set.",
    reason: "Files that belong to no owner may say anything. A slip in the glob, or a folder that was renamed, frees the \
             team's file from its bounds.",
    remedy: "Write the glob so that it takes in the files that are meant.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[owner]]
files = "team/shop/*.toml"
roles = { glob = "shop-*" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Set(look),
};

fn look(set: &PolicySet) -> Vec<(Place, Found)> {
    let idle = set.owners().iter().filter(|it| !set.files().iter().any(|file| it.files.takes_text(&file.path)));
    idle.map(|it| (it.place.clone(), Found::whole(format!("no file of the set fits {}", it.files)))).collect()
}

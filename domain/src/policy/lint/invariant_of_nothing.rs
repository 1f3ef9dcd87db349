//! An invariant about no role protects none.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::problem::Place;
use crate::policy::set::PolicySet;

pub(super) static LINT: Lint = Lint {
    name: "invariant-of-nothing",
    severity: Severity::Warning,
    threats: &["T17"],
    summary: "No role has a name that the invariant speaks of.",
    reason: "A role that was renamed, or a slip in the pattern, leaves an invariant that holds whatever the roles say.",
    remedy: "Write the pattern so that it takes in the roles that are meant.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[invariant]]
name   = "no pull request reaches production"
issuer = "github"
never  = { role = { glob = "*-prd" }, event_name = "pull_request" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[[invariant]]
name   = "no pull request reaches production"
issuer = "github"
never  = { role = { glob = "dep*" }, event_name = "pull_request" }
"#,
    look: Over::Set(look),
};

fn look(set: &PolicySet) -> Vec<(Place, Found)> {
    let idle = set.invariants().iter().filter(|it| !set.roles().iter().any(|role| it.role.takes_text(&role.name)));
    idle.map(|it| (it.place.clone(), Found::whole(format!("the invariant `{}` speaks of no role of the set", it.name)))).collect()
}

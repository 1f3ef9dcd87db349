//! A session is a key that lies about as long as it lives.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{PolicySet, Role};
use std::time::Duration;

use crate::policy::duration::print;

pub(super) static LINT: Lint = Lint {
    name: "long-session",
    severity: Severity::Warning,
    threats: &["C7", "T17"],
    summary: "A session lives longer than work of its kind takes.",
    reason: "Whoever finds the session's token in a log or a runner's memory can ask for the role's credentials until it \
             ends. Operators' sessions open the broker itself.",
    remedy: "Set session_ttl to what the job needs: an hour for operators, a working day at most for others.",
    bad: r#"[role.deploy]
session_ttl = "12h"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    good: r#"[role.deploy]
session_ttl = "1h"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
"#,
    look: Over::Roles(look),
};

fn look(_set: &PolicySet, role: &Role) -> Vec<Found> {
    let most = Duration::from_hours(if role.rights().is_empty() { 8 } else { 1 });
    if role.session_ttl <= most {
        return Vec::new();
    }
    let (is, most) = (print(role.session_ttl), print(most));
    vec![Found::at("session_ttl", format!("sessions of role `{}` live {is}; {most} is the most that is usual", role.name))]
}

//! Whoever starts a job is no reason to trust its code.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "actor-alone",
    severity: Severity::Error,
    threats: &["T16"],
    summary: "A row lets in whatever code a person starts, from any ref.",
    reason: "The actor is who caused the run, not who wrote or reviewed the code: a schedule runs as its last editor, a bot \
             merges what others wrote, a re-run keeps the first actor. With the code gate waived, a name is all that stands \
             in the way.",
    remedy: "Say which code may run (ref, environment) and leave the person out; who may start a job is the business of the \
             environment's reviewers.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
actor_id      = "583231"
waive         = { no-code-gate = "only the release manager" }
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let person = |condition: &&crate::policy::pattern::Condition| row.claim(condition).is_some_and(|claim| claim.personal);
    let persons = row.row.conditions.iter().filter(|_| row.waives("no-code-gate")).filter(person);
    persons
        .map(|it| Found::at(&it.claim, format!("{} rests on `{}`, whatever code that person starts", row.name(), it.claim)))
        .collect()
}

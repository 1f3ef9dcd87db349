//! Every repository of an organisation is more than anybody oversees.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "whole-organisation",
    severity: Severity::Warning,
    threats: &["T1"],
    summary: "Every project of an owner may use the row.",
    reason: "Forgotten repositories, sandboxes and whatever is created tomorrow get the role. In most organisations every \
             member can create a repository.",
    remedy: "List the ids of the projects that are meant; where all are meant, accept the finding with the reason.",
    bad: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
ref                 = "refs/heads/main"
waive               = { no-project-pin = "every service deploys the same way" }
"#,
    good: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = ["637712", "637713"]
ref                 = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let pinned = row.identities().any(|claim| claim.pins_project);
    let named = row.row.conditions.iter().any(|it| row.names(&it.claim) && row.id_of(&it.claim).is_some_and(|id| !row.pins(id)));
    match row.identities().next().filter(|_| !pinned && !named) {
        Some(claim) => vec![Found::at(&claim.name, format!("{} takes every project that `{}` takes in", row.name(), claim.name))],
        None => Vec::new(),
    }
}

//! Names can be registered again by somebody else.

use super::look::{Found, Over, RowView};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "name-as-id",
    severity: Severity::Error,
    threats: &["T4", "T1"],
    summary: "A row tells projects by a name, though there is an id.",
    reason: "After a rename, a transfer or a deletion the name is free, and whoever registers it gets a token that fits. Ids \
             are never given to another.",
    remedy: "Pin the id that belongs to the name; the name may stay beside it for readers.",
    bad: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository          = "acme/shop"
ref                 = "refs/heads/main"
waive               = { no-project-pin = "the name is enough for us" }
"#,
    good: r#"[[role.deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
"#,
    look: Over::Rows(look),
};

fn look(row: &RowView<'_>) -> Vec<Found> {
    let pinned = row.identities().any(|claim| claim.pins_project);
    if pinned || row.identities().next().is_none() {
        return Vec::new();
    }
    let named = row.row.conditions.iter().filter(|it| row.names(&it.claim)).filter_map(|it| Some((it, row.id_of(&it.claim)?)));
    let bare = named.filter(|(_, id)| !row.pins(id));
    bare.map(|(it, id)| {
        Found::at(&it.claim, format!("{} tells projects by `{}`; `{id}` is what stays theirs", row.name(), it.claim))
    })
    .collect()
}

//! What a team may use and does not is there for whoever gets hold of its files.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::problem::Place;
use crate::policy::set::PolicySet;

pub(super) static LINT: Lint = Lint {
    name: "unused-connection",
    severity: Severity::Note,
    threats: &["T17"],
    summary: "An owner's files may use a connection that no role uses.",
    reason: "Whoever can change one of these files can have a login at that target, though nobody needs one. A name that is \
             written wrong looks the same.",
    remedy: "Take the connection out of the owner's list until a role needs it.",
    bad: r#"# teams/shop.toml
[[role.shop-deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.shop-deploy.credential.database]
engine     = "postgres"
connection = "shop"
statements = "readwrite"

# owners.toml
[[owner]]
files       = "teams/shop.toml"
roles       = { glob = "shop-*" }
connections = ["shop", "stock"]
"#,
    good: r#"# teams/shop.toml
[[role.shop-deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.shop-deploy.credential.database]
engine     = "postgres"
connection = "shop"
statements = "readwrite"

# owners.toml
[[owner]]
files       = "teams/shop.toml"
roles       = { glob = "shop-*" }
connections = ["shop"]
"#,
    look: Over::Set(look),
};

fn look(set: &PolicySet) -> Vec<(Place, Found)> {
    let used = set.connections();
    let mut found = Vec::new();
    for owner in set.owners() {
        for name in owner.connections.iter().filter(|name| !used.contains_key(name.as_str())) {
            let message = format!("files that fit {} may use the connection `{name}`, which no role uses", owner.files);
            found.push((owner.place.clone(), Found::whole(message)));
        }
    }
    found
}

//! A credential is worth stealing as long as it lives.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Credential, PolicySet, Role};
use std::time::Duration;

use crate::credentials::engine::Reach;
use crate::policy::duration::print;

pub(super) static LINT: Lint = Lint {
    name: "long-ttl",
    severity: Severity::Warning,
    threats: &["C7"],
    summary: "A credential lives longer than an hour.",
    reason: "AWS credentials cannot be taken back at all, logins only at their end or when the job says that it is done. Jobs \
             that run for hours can ask again.",
    remedy: "Set ttl to what one step needs; a job gets more with its session.",
    bad: r#"[role.deploy]
ttl         = "6h"
session_ttl = "6h"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.cloud]
engine   = "aws"
role_arn = "arn:aws:iam::123456789012:role/shop-deploy"
"#,
    good: r#"[role.deploy]
ttl         = "1h"
session_ttl = "6h"

[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"

[role.deploy.credential.cloud]
engine   = "aws"
role_arn = "arn:aws:iam::123456789012:role/shop-deploy"
"#,
    look: Over::Roles(look),
};

fn look(_set: &PolicySet, role: &Role) -> Vec<Found> {
    let most = Duration::from_hours(1);
    let ends = |it: &&Credential| !matches!(it.engine.reach(&it.params), Reach::Broker | Reach::Secrets { .. });
    let lives = |it: &Credential| it.ttl.unwrap_or(role.ttl).min(role.ttl);
    let long = role.credentials.iter().filter(ends).find(|it| lives(it) > most);
    let told = |it: &Credential| Found::at("ttl", format!("`{}` of role `{}` lives {}", it.name, role.name, print(lives(it))));
    long.map(told).into_iter().collect()
}

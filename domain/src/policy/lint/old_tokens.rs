//! A token that is taken for long is a password for long.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "old-tokens",
    severity: Severity::Warning,
    threats: &["N7"],
    summary: "Tokens are accepted longer than the issuer's kind needs.",
    reason: "A token that leaked into a log can be exchanged until it is too old. Jobs ask for a new one in milliseconds.",
    remedy: "Leave max_token_age out, or set it below the usual.",
    bad: r#"[issuer.github]
kind          = "github"
url           = "https://token.actions.githubusercontent.com"
audience      = "https://daypass.acme.example"
max_token_age = "6h"
"#,
    good: r#"[issuer.github]
kind          = "github"
url           = "https://token.actions.githubusercontent.com"
audience      = "https://daypass.acme.example"
max_token_age = "5m"
"#,
    look: Over::Issuers(look),
};

fn look(_set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    let (is, usual) = (issuer.ages.age, issuer.kind.ages().age);
    if is <= usual {
        return Vec::new();
    }
    let print = |seconds: i64| crate::policy::duration::print(std::time::Duration::from_secs(seconds.unsigned_abs()));
    vec![Found::at(
        "max_token_age",
        format!("tokens of issuer `{}` are taken until they are {} old; {} is usual", issuer.name, print(is), print(usual)),
    )]
}

//! A token for everybody is a token for us too.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "shared-audience",
    severity: Severity::Error,
    threats: &["N11", "T2"],
    summary: "The audience is one that jobs use for another service.",
    reason: "Whoever sees a token that a job made for AWS, Azure, Sigstore or a package registry, that service included, can \
             exchange it here.",
    remedy: "Use an audience of this broker's own: the URL under which jobs reach it.",
    bad: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "sts.amazonaws.com"
"#,
    good: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"
"#,
    look: Over::Issuers(look),
};

fn look(_set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    if !super::words::is_shared(&issuer.audience) {
        return Vec::new();
    }
    vec![Found::at("audience", format!("`{}` is the audience of another service", issuer.audience.escape_debug()))]
}

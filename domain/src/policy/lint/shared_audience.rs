//! A token for everybody is a token for us too.

use super::look::{Found, Over};
use super::words::is_shared;
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
    let audience = issuer.audience.escape_debug();
    if is_shared(&issuer.audience) {
        return vec![Found::at("audience", format!("`{audience}` is the audience of another service"))];
    }
    if is_default(issuer) {
        return vec![Found::at(
            "audience",
            format!("`{audience}` is what tokens of `{}` say when a job asks for none", issuer.name),
        )];
    }
    Vec::new()
}

/// Servers put their own address into tokens for which the job named no audience.
fn is_default(issuer: &Issuer) -> bool {
    let server = issuer.url.replacen("https://token.actions.", "https://", 1);
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    origin(&server).is_some() && origin(&server) == origin(&issuer.audience)
}

//! A token for everybody is a token for us too.

use super::look::{Found, Over};
use super::words::is_shared;
use super::{Lint, Severity};
use crate::issuers::github;
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
    let found = |why| Found::at("audience", format!("`{}` is {why}", issuer.audience.escape_debug()));
    foreign(&issuer.url, &issuer.audience).map(found).into_iter().collect()
}

/// Whose the audience is, unless it is the broker's own.
pub(in crate::policy) fn foreign(url: &str, audience: &str) -> Option<&'static str> {
    if is_shared(audience) {
        return Some("the audience of another service");
    }
    is_default(url, audience).then_some("what tokens say when a job asks for no audience")
}

/// Servers put their own address into tokens for which the job named no audience; github.com and gitlab.com go by that name.
fn is_default(url: &str, audience: &str) -> bool {
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    // CircleCI takes the organisation's id, which its URL ends with; Bitbucket the workspace.
    if audience.starts_with("ari:cloud:bitbucket::") || url.strip_suffix(audience).is_some_and(|rest| rest.ends_with("/org/")) {
        return true;
    }
    let server = if url.starts_with(github::URL) { "https://github.com".to_owned() } else { url.replacen("https://token.actions.", "https://", 1) };
    let server = server.replacen("https://agent.", "https://", 1);
    origin(&server).is_some() && origin(&server) == origin(audience)
}

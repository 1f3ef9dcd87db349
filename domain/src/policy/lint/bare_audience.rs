//! An audience that others would choose too is no address.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "bare-audience",
    severity: Severity::Warning,
    threats: &["N11"],
    summary: "The audience is a bare word that other services may use as well.",
    reason: "The audience alone keeps a token that was made for another service from being used here. A second broker, or a \
             test installation, with the same word takes the same tokens.",
    remedy: "Use the URL under which jobs reach this broker, as in \"https://daypass.acme.example\".",
    bad: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "daypass"
"#,
    good: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"
"#,
    look: Over::Issuers(look),
};

fn look(_set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    let named = url::Url::parse(&issuer.audience)
        .is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('.') || host == "localhost"));
    if named || super::words::is_shared(&issuer.audience) {
        return Vec::new();
    }
    vec![Found::at(
        "audience",
        format!("the audience `{}` of issuer `{}` names no host", issuer.audience.escape_debug(), issuer.name),
    )]
}

//! One broker has one audience.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "mixed-audiences",
    severity: Severity::Warning,
    threats: &["N11"],
    summary: "Issuers of one set have different audiences.",
    reason: "The audience is this broker's own name. Where two names are believed, tokens that were made for another \
             installation of the same owner are taken here.",
    remedy: "Give all issuers the same audience.",
    bad: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"

[issuer.gitlab]
kind     = "gitlab"
url      = "https://gitlab.com"
audience = "https://daypass.staging.acme.example"
"#,
    good: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"

[issuer.gitlab]
kind     = "gitlab"
url      = "https://gitlab.com"
audience = "https://daypass.acme.example"
"#,
    look: Over::Issuers(look),
};

fn look(set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    let other = set.issuers().first().filter(|first| first.audience != issuer.audience);
    let told = |first: &Issuer| {
        let message = format!("issuer `{}` has another audience than issuer `{}`", issuer.name, first.name);
        Found::at("audience", message)
    };
    other.map(told).into_iter().collect()
}

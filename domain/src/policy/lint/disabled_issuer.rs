//! A kill switch that stays on is forgotten.

use super::look::{Found, Over};
use super::{Lint, Severity};
use crate::policy::set::{Issuer, PolicySet};

pub(super) static LINT: Lint = Lint {
    name: "disabled-issuer",
    severity: Severity::Note,
    threats: &[],
    summary: "The issuer is switched off.",
    reason: "Its rows let nobody in. Somebody will wonder why, or switch it on again without asking why it was off.",
    remedy: "Switch it on when the incident is over, or take the issuer and its rows out.",
    bad: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"
enabled  = false
"#,
    good: r#"[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.acme.example"
"#,
    look: Over::Issuers(look),
};

fn look(_set: &PolicySet, issuer: &Issuer) -> Vec<Found> {
    if issuer.enabled {
        return Vec::new();
    }
    vec![Found::at("enabled", format!("the issuer `{}` is switched off, and all its rows with it", issuer.name))]
}

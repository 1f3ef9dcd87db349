//! What a change makes of asks that name no role, for people.

use std::fmt::Write as _;

use domain::policy::{Ambiguities, Ambiguity, Unnamed};

use super::tokens;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count};

pub(super) fn text(all: &Ambiguities, text: &mut String) {
    for found in &all.found {
        let (style, word) = if found.now == Unnamed::Ambiguous { (BAD, "ambiguous") } else { (GOOD, "clear    ") };
        let roles: Vec<String> = found.roles.iter().map(|role| clean(role)).collect();
        let _ = writeln!(
            text,
            "{style}{word}{style:#}  {STRONG}{}{STRONG:#}  {FAINT}{} ({}:{}){FAINT:#}\n    {}; one such token:",
            roles.join(", "),
            clean(&found.issuer),
            clean(&found.place.file),
            found.place.line,
            sentence(found, &clean)
        );
        tokens::changes(&found.changes, &found.issuer, text);
    }
    for unanswered in &all.undecided {
        let (role, reason) = (clean(&unanswered.role), clean(&unanswered.reason));
        let _ = writeln!(text, "{FAINT}not decided for asks that name no role, at {role}: {reason}{FAINT:#}");
    }
}

pub(super) fn markdown(all: &Ambiguities, text: &mut String) {
    for found in &all.found {
        let word = if found.now == Unnamed::Ambiguous { "⚠️ **Ambiguous**" } else { "✅ **No longer ambiguous**" };
        let roles: Vec<String> = found.roles.iter().map(|role| tokens::code(role)).collect();
        let (issuer, sentence) = (tokens::code(&found.issuer), sentence(found, &tokens::code));
        let _ = writeln!(text, "{word}: {} to tokens of {issuer}; {sentence}. One such token:\n", roles.join(", "));
        tokens::markdown(&found.changes, &found.issuer, text);
    }
    for unanswered in &all.undecided {
        let (role, reason) = (tokens::code(&unanswered.role), tokens::plain(&unanswered.reason));
        let _ = writeln!(text, "❓ **Not decided** for asks that name no role, at {role}: {reason}.\n");
    }
}

/// What becomes of an ask that names no role.
fn sentence(found: &Ambiguity, shown: &dyn Fn(&str) -> String) -> String {
    let role = found.instead.as_ref().map(|role| shown(role));
    match (found.now, role) {
        (Unnamed::Ambiguous, Some(role)) => format!("an ask that names no role got {role} and is refused now (role_ambiguous)"),
        (Unnamed::Ambiguous, None) => "an ask that names no role gets none of them (role_ambiguous)".to_owned(),
        (Unnamed::Clear, Some(role)) => format!("an ask that names no role was refused (role_ambiguous) and gets {role} now"),
        (Unnamed::Clear, None) => "an ask that names no role was refused (role_ambiguous), and no role is left to it".to_owned(),
    }
}

/// In a few words; empty where there is nothing to tell.
pub(super) fn summary(all: &Ambiguities) -> String {
    let many = |now: Unnamed| all.found.iter().filter(|found| found.now == now).count();
    match (many(Unnamed::Ambiguous), many(Unnamed::Clear)) {
        (0, 0) => String::new(),
        (n, 0) => format!("; {} of roles newly ambiguous", count(n, "pair")),
        (0, n) => format!("; {} of roles no longer ambiguous", count(n, "pair")),
        (n, m) => format!("; {} of roles newly ambiguous, {m} no longer", count(n, "pair")),
    }
}

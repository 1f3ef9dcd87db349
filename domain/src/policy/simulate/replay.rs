//! One recorded decision, decided once more under another set.
//!
//! What came of it then is taken from its record, since a rate limit or a target can refuse what the policy allows. What would
//! come of it is what the verifier takes from the set (the issuer, its audience, its required claims) and what `decide`
//! answers. A claim that is withheld could say anything: where that matters, nothing is claimed to be known.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::claims::{Claims, Json};
use crate::policy::door::refused_before;
use crate::policy::evaluate::{Wanted, evaluate};
use crate::policy::set::{Issuer, PolicySet, Role, Row};
use crate::policy::{Allowed, Ask};
use crate::refusal::{Code, Refusal};
use crate::wire::Decision;

/// What the policy said at the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It allowed the role, whatever came of it afterwards.
    Allowed(String),
    Denied(Code),
    /// It was refused before or beside the policy; the set says nothing about it.
    NotAsked,
}

/// What the set says to the same ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Now {
    Allowed {
        role: String,
        row: usize,
    },
    Denied(Code),
    /// It depends on these claims, which are not known.
    Unsure(BTreeSet<String>),
}

/// Codes that the set alone decides. Others come from rates, targets, keys and clocks.
const OF_THE_SET: &[Code] = &[
    Code::AudienceMismatch,
    Code::CredentialUnknown,
    Code::EventNotAllowed,
    Code::ForkNotAllowed,
    Code::IssuerDisabled,
    Code::IssuerUnknown,
    Code::NoRoleMatches,
    Code::RoleAmbiguous,
    Code::RoleNotAllowed,
    Code::RunnerNotAllowed,
    Code::TemplateUnfilled,
    Code::TtlBelowMinimum,
];

/// Whether a refusal of this code is one of the policy set.
pub fn is_of_the_set(code: &str) -> bool {
    OF_THE_SET.iter().any(|known| known.as_str() == code)
}

/// What the record says that the policy said.
pub fn then(past: &Decision) -> Then {
    let allowed = || past.role.clone().map_or(Then::NotAsked, Then::Allowed);
    let Some(code) = past.code.as_deref() else { return allowed() };
    match OF_THE_SET.iter().find(|known| known.as_str() == code) {
        // Also a role that is only rehearsed: it has a row and hands nothing out.
        Some(code) => Then::Denied(*code),
        None if past.row.is_some() => allowed(),
        None => Then::NotAsked,
    }
}

/// The issuer of the set that would verify the token: the one with its URL, whatever it is called.
pub(super) fn issuer<'s>(set: &'s PolicySet, past: &Decision) -> Option<&'s Issuer> {
    match past.claims.text("iss") {
        Some(url) => set.issuer_by_url(url),
        None => set.issuer(&past.issuer),
    }
}

/// What the set says to the ask of that decision.
pub fn now(set: &PolicySet, past: &Decision) -> Now {
    let Some(issuer) = issuer(set, past) else { return Now::Denied(Code::IssuerUnknown) };
    if let Some(code) = unverified(issuer, past) {
        return Now::Denied(code);
    }
    let ask = ask(issuer, past);
    let decided = evaluate(set, &ask, wanted(past), None);
    let doubts = doubts(set, issuer, &ask, past, &decided);
    match decided {
        _ if !doubts.is_empty() => Now::Unsure(doubts),
        // A role that is only rehearsed hands out nothing.
        Ok(allowed) if allowed.shadow => Now::Denied(Code::RoleNotAllowed),
        Ok(allowed) => Now::Allowed { role: allowed.role, row: allowed.row },
        Err(refusal) => Now::Denied(refusal.code),
    }
}

pub(super) fn ask<'a>(issuer: &'a Issuer, past: &'a Decision) -> Ask<'a> {
    Ask {
        issuer: &issuer.name,
        claims: &past.claims,
        role: past.role.as_deref().filter(|_| !past.asked.any_role),
        credentials: &past.asked.credentials,
        ttl: past.asked.ttl.map(Duration::from_secs),
        now: past.at.unix_timestamp(),
    }
}

pub(super) const fn wanted(past: &Decision) -> Wanted {
    if past.asked.session_only { Wanted::RoleAlone } else { Wanted::Credentials { session_ends_at: past.asked.session_ends } }
}

/// Why a token would not come as far as the policy. A session's token has been verified when it was opened.
fn unverified(issuer: &Issuer, past: &Decision) -> Option<Code> {
    if past.asked.session_ends.is_some() {
        return None;
    }
    let there = |name: &str| past.claims.get(name).is_some_and(|value| *value != Json::Null) || is_withheld(past, name);
    refused_before(issuer, &past.claims, there)
}

fn is_withheld(past: &Decision, claim: &str) -> bool {
    past.withheld.iter().any(|name| *name == root(claim))
}

/// The claim that a name or JSON pointer begins at.
fn root(claim: &str) -> String {
    match claim.strip_prefix('/') {
        Some(pointer) => pointer.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~"),
        None => claim.to_owned(),
    }
}

/// The withheld claims on which the outcome depends.
fn doubts(
    set: &PolicySet,
    issuer: &Issuer,
    ask: &Ask<'_>,
    past: &Decision,
    decided: &Result<Allowed, Refusal>,
) -> BTreeSet<String> {
    let mut doubts = BTreeSet::new();
    if past.withheld.is_empty() {
        return doubts;
    }
    let sure = decided.as_ref().ok().filter(|allowed| {
        let row = set.role(&allowed.role).and_then(|role| role.rows.get(allowed.row));
        row.is_some_and(|row| row.conditions.iter().all(|condition| !is_withheld(past, &condition.claim)))
    });
    for role in set.roles().iter().filter(|role| ask.role.is_none_or(|named| role.name == named)) {
        // Another way into a role that is given anyway changes nothing.
        if sure.is_none_or(|allowed| allowed.role != role.name) {
            doubts.extend(role.rows.iter().filter(|row| row.issuer == issuer.name).flat_map(|row| open(issuer, row, past)));
        }
        if matches!(decided, Err(refusal) if refusal.code == Code::TemplateUnfilled) {
            doubts.extend(templates(role).filter(|claim| is_withheld(past, claim)).map(str::to_owned));
        }
    }
    doubts
}

/// The withheld claims of a row in which everything else holds.
fn open(issuer: &Issuer, row: &Row, past: &Decision) -> Vec<String> {
    let barred = issuer
        .kind
        .vetoes()
        .iter()
        .any(|veto| !is_withheld(past, veto.claim) && !row.waive.contains_key(veto.name) && veto.strikes(&past.claims));
    let (unknown, known): (Vec<_>, Vec<_>) = row.conditions.iter().partition(|condition| is_withheld(past, &condition.claim));
    if barred || !known.iter().all(|condition| condition.holds(&past.claims)) {
        return Vec::new();
    }
    unknown.iter().map(|condition| condition.claim.clone()).collect()
}

fn templates(role: &Role) -> impl Iterator<Item = &str> {
    role.credentials.iter().flat_map(|credential| &credential.holes).flat_map(|hole| hole.template.claims())
}

/// The ref that a job ran for, where the set does not know its issuer any more.
pub(super) fn git_ref(claims: &Claims) -> Option<String> {
    claims.text("ref").map(str::to_owned)
}

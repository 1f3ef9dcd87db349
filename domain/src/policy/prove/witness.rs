//! From a solution to a token that a person can read: the issuer's sample with as little changed as the answer needs, and
//! checked by the code that decides before anyone is told.

use serde::Serialize;

use super::domains::Domains;
use super::solver::Model;
use super::tokens::{Tokens, steps};
use crate::claims::{Claims, Json};
use crate::policy::decide::{Ask, decide_role};
use crate::policy::pattern::typed;
use crate::policy::set::{Issuer, PolicySet};

/// A claim of a token that is not as in the issuer's sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub claim: String,
    /// What the sample has; `None` where it lacks the claim.
    pub sample: Option<Json>,
    /// What the token has; `None` where it lacks the claim.
    pub token: Option<Json>,
}

/// The token that a solution stands for, nearest to the sample. `None` when it does not do what `shows` asks of it.
pub(super) fn token(
    tokens: &Tokens<'_>,
    model: &Model,
    domains: &mut Domains,
    shows: &dyn Fn(&Claims) -> bool,
) -> Option<(Claims, Vec<Change>)> {
    let mut order: Vec<usize> = (0..tokens.variables.len()).collect();
    // What stands around comes before what lies in it.
    order.sort_by_key(|var| tokens.variables.get(*var).map_or(0, |variable| steps(&variable.name).len()));
    let mut claims = tokens.sample.clone();
    for var in &order {
        let (Some(variable), Some(domain)) = (tokens.variables.get(*var), model.domains.get(*var).copied()) else { continue };
        let held = tokens.sample.get(&variable.name);
        if let Some((_, text)) = model.texts.iter().find(|(of, _)| of == var) {
            claims.put(&variable.name, Json::String(text.clone()));
        } else if !domains.has(domain, held) {
            let known = domains.known(domain).ok()?;
            let preferred = tokens.first.get(*var).into_iter().flatten();
            let preferred = preferred.map(|text| Json::String(text.clone())).find(|value| domains.has(domain, Some(value)));
            // Only a text can stand for a text.
            let value = known.value.as_deref();
            match preferred.filter(|_| matches!(value, Some(Json::String(_)))).or_else(|| value.cloned()) {
                Some(value) if held.is_some() || !known.absent => claims.put(&variable.name, value),
                _ => {
                    claims.take(&variable.name);
                }
            }
        }
    }
    let shows = |claims: &Claims| possible(tokens.issuer, claims) && shows(claims);
    if !shows(&claims) {
        return None;
    }
    // Innermost first, so that an object goes back to the sample's only when all in it does.
    for variable in order.iter().rev().filter_map(|var| tokens.variables.get(*var)) {
        let held = tokens.sample.get(&variable.name);
        if claims.get(&variable.name) != held {
            let mut nearer = claims.clone();
            match held {
                Some(value) => nearer.put(&variable.name, value.clone()),
                None => {
                    nearer.take(&variable.name);
                }
            }
            if shows(&nearer) {
                claims = nearer;
            }
        }
    }
    let changes = changes(tokens, &claims);
    Some((claims, changes))
}

fn changes(tokens: &Tokens<'_>, claims: &Claims) -> Vec<Change> {
    let is = |variable: &&super::tokens::Variable| claims.get(&variable.name) != tokens.sample.get(&variable.name);
    // An object is told by what lies in it, where the schema speaks of that.
    let told = |variable: &&super::tokens::Variable| {
        let path = steps(&variable.name);
        let inner = |other: &super::tokens::Variable| {
            let other_path = steps(&other.name);
            other_path.len() > path.len()
                && other_path.starts_with(&path)
                && claims.get(&other.name) != tokens.sample.get(&other.name)
        };
        !tokens.variables.iter().any(inner)
    };
    let mut changes: Vec<Change> = tokens
        .variables
        .iter()
        .filter(is)
        .filter(told)
        .map(|variable| Change {
            claim: variable.name.clone(),
            sample: tokens.sample.get(&variable.name).cloned(),
            token: claims.get(&variable.name).cloned(),
        })
        .collect();
    changes.sort_by(|a, b| a.claim.cmp(&b.claim));
    changes
}

/// Whether the issuer can have made such a token, as far as the verifier and the relations tell.
pub(super) fn possible(issuer: &Issuer, claims: &Claims) -> bool {
    verified(issuer, claims) && issuer.kind.relations().iter().all(|relation| relation.holds(claims))
}

/// Whether the verifier believes such a token: it has what is required, and of the types that the schema tells.
pub(super) fn verified(issuer: &Issuer, claims: &Claims) -> bool {
    let kind = &issuer.kind;
    let typed = |name: &str, value: &Json| kind.claim(name).is_none_or(|claim| typed(claim.ty, value));
    let text = |name: &str, longest: usize| claims.text(name).is_some_and(|text| (1..=longest).contains(&text.len()));
    claims.object().iter().all(|(name, value)| typed(name, value))
        && kind.claims().iter().all(|claim| claims.get(&claim.name).is_none_or(|value| typed(&claim.name, value)))
        && kind.required().iter().all(|name| claims.get(name).is_some())
        && text("sub", 512)
        && kind.replay_claim().is_none_or(|name| text(name, 256))
}

/// The row by which the set lets the token have the role, as the broker decides it, and whether the role is only rehearsed.
pub(super) fn allowed(set: &PolicySet, issuer: &str, role: &str, claims: &Claims) -> Option<(usize, bool)> {
    let now = claims.get("iat").and_then(Json::as_int).unwrap_or(0);
    let ask = Ask { issuer, claims, role: Some(role), credentials: &[], ttl: None, now };
    decide_role(set, &ask).ok().map(|allowed| (allowed.row, allowed.shadow))
}

//! What a change of the set lets in and shuts out, over every token that the issuers can make, and what else it changes.
//!
//! Issuers are the same when their URL is, whatever the set calls them. A role in shadow hands out nothing, so here it counts
//! as letting nobody in.

use std::collections::BTreeSet;

use serde::Serialize;

use super::budget::Budget;
use super::domains::Domains;
use super::gives::{Difference, differences};
use super::language::TooLarge;
use super::solver::{Choice, Lit, Model, Solver, State};
use super::tokens::{Tokens, Unclear};
use super::witness::{Change, allowed, token, verified};
use crate::claims::Claims;
use crate::issuers::issuer::{Claim, Kind};
use crate::policy::pattern::{Condition, Pattern};
use crate::policy::problem::Place;
use crate::policy::set::{Issuer, PolicySet, Role, Row};

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Now {
    Allowed,
    Denied,
}

/// Tokens that a role now lets in, or no longer does, with one of them.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    pub role: String,
    /// As the set with the row calls it.
    pub issuer: String,
    pub now: Now,
    /// The row that lets the tokens in: of the new set where they are allowed now, of the old set where they were.
    pub row: usize,
    pub place: Place,
    /// Why the other set does not.
    pub because: String,
    /// Beside the issuer's sample.
    pub changes: Vec<Change>,
    pub claims: Claims,
}

/// A question that could not be answered.
#[derive(Clone, Debug, Serialize)]
pub struct Unanswered {
    pub role: String,
    pub issuer: String,
    pub reason: String,
}

/// All that differs between two sets.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// By role.
    pub moved: Vec<Moved>,
    pub differences: Vec<Difference>,
    pub undecided: Vec<Unanswered>,
}

impl Diff {
    /// No token gets anything else than before.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.differences.is_empty() && self.undecided.is_empty()
    }

    /// Whether every token has the roles that it had.
    pub fn outcomes_stay(&self) -> bool {
        self.moved.is_empty() && self.undecided.is_empty()
    }

    /// Whether some token gets a role or more of it than before, trust or guards are loosened, or that cannot be told.
    pub fn widens(&self) -> bool {
        !self.undecided.is_empty()
            || self.moved.iter().any(|moved| moved.now == Now::Allowed)
            || self.differences.iter().any(|difference| difference.widens)
    }
}

/// Compares two sets.
pub fn diff(old: &PolicySet, new: &PolicySet) -> Diff {
    diff_within(Budget::ALL, old, new)
}

pub(super) fn diff_within(mut work: u64, old: &PolicySet, new: &PolicySet) -> Diff {
    let mut diff = Diff { moved: Vec::new(), differences: differences(old, new), undecided: Vec::new() };
    for (after, before, now) in [(new, old, Now::Allowed), (old, new, Now::Denied)] {
        for issuer in after.issuers().iter().filter(|issuer| issuer.enabled) {
            work = gained(&Side { after, before, issuer, now }, &mut diff, work);
        }
    }
    diff.moved.sort_by(|a, b| (&a.role, &a.issuer, a.now as u8, a.row).cmp(&(&b.role, &b.issuer, b.now as u8, b.row)));
    diff
}

/// One direction: what `after` lets in that `before` does not.
pub(super) struct Side<'s> {
    pub(super) after: &'s PolicySet,
    pub(super) before: &'s PolicySet,
    pub(super) issuer: &'s Issuer,
    pub(super) now: Now,
}

/// A role with rows that the other set does not have.
struct Suspect<'s> {
    role: &'s Role,
    rows: Vec<(usize, &'s Row)>,
    /// The rows of the same role and issuer in the other set.
    others: Vec<&'s Row>,
}

/// What may be spent is given, and what is left of it told.
fn gained(side: &Side<'_>, diff: &mut Diff, work: u64) -> u64 {
    let twin = side.twin();
    let suspects: Vec<Suspect<'_>> = side.after.roles().iter().filter_map(|role| side.suspect(role, twin)).collect();
    if suspects.is_empty() {
        return work;
    }
    let mut unanswered = |role: &Role, unclear: &Unclear| {
        let (role, issuer) = (role.name.clone(), side.issuer.name.clone());
        diff.undecided.push(Unanswered { role, issuer, reason: unclear.to_string() });
    };
    let mut domains = Domains::new(work);
    let lacking: Vec<Condition> = twin.map_or_else(Vec::new, |twin| side.lacking(twin));
    let rows = suspects.iter().flat_map(|suspect| suspect.rows.iter().map(|(_, row)| *row).chain(suspect.others.iter().copied()));
    let conditions = rows.flat_map(|row| &row.conditions).chain(&lacking);
    let other = twin.map(|twin| twin.kind.as_ref());
    let tokens = match Tokens::new(side.issuer, other, conditions, &mut domains) {
        Ok(tokens) => tokens,
        Err(unclear) => {
            for suspect in &suspects {
                unanswered(suspect.role, &unclear);
            }
            return domains.budget.left();
        }
    };
    for suspect in &suspects {
        let refused: Vec<Choice> = suspect.others.iter().map(|other| tokens.refuses(other, &mut domains)).collect();
        for (at, row) in &suspect.rows {
            match side.moved(suspect, &refused, (*at, row), &lacking, &tokens, &mut domains) {
                Ok(moved) => diff.moved.extend(moved),
                Err(unclear) => unanswered(suspect.role, &unclear),
            }
        }
    }
    domains.budget.left()
}

impl<'s> Side<'s> {
    /// The same issuer in the other set, where its tokens can be the same tokens.
    pub(super) fn twin(&self) -> Option<&'s Issuer> {
        let twin = self.before.issuer_by_url(&self.issuer.url)?;
        let same = twin.enabled && twin.audience == self.issuer.audience && twin.kind.name() == self.issuer.kind.name();
        let types = |claim: &Claim| twin.kind.claim(&claim.name).is_none_or(|other| other.ty == claim.ty);
        (same && self.issuer.kind.claims().iter().all(types)).then_some(twin)
    }

    /// The role, if a row of it may let in what the other set does not.
    fn suspect(&self, role: &'s Role, twin: Option<&Issuer>) -> Option<Suspect<'s>> {
        let rows = || role.rows.iter().enumerate().filter(|(_, row)| row.issuer == self.issuer.name);
        if role.shadow || rows().next().is_none() {
            return None;
        }
        let other = self.before.role(&role.name).filter(|other| !other.shadow);
        let others: Vec<&Row> = other
            .zip(twin)
            .map_or_else(Vec::new, |(other, twin)| other.rows.iter().filter(|row| row.issuer == twin.name).collect());
        let schema = twin.is_some_and(|twin| twin.kind.schema() == self.issuer.kind.schema());
        let covered = |row: &Row| {
            let waives = |other: &Row| row.waive.keys().all(|name| other.waive.contains_key(name));
            schema && others.iter().any(|other| other.conditions == row.conditions && waives(other))
        };
        let rows: Vec<(usize, &Row)> = rows().filter(|(_, row)| !covered(row)).collect();
        (!rows.is_empty()).then_some(Suspect { role, rows, others })
    }

    /// Claims without which the other set believes no token, and this one does.
    pub(super) fn lacking(&self, twin: &Issuer) -> Vec<Condition> {
        fn needed(kind: &dyn Kind) -> BTreeSet<&str> {
            kind.required().iter().map(|name| &**name).chain(kind.replay_claim()).collect()
        }
        let (theirs, ours) = (needed(twin.kind.as_ref()), needed(self.issuer.kind.as_ref()));
        let missing = |name: &&str| Some(Condition::new((*name).to_owned(), twin.kind.claim(name)?, Pattern::Absent));
        theirs.difference(&ours).filter_map(missing).collect()
    }

    fn moved(
        &self,
        suspect: &Suspect<'_>,
        refused: &[Choice],
        (at, row): (usize, &Row),
        lacking: &[Condition],
        tokens: &Tokens<'_>,
        domains: &mut Domains,
    ) -> Result<Option<Moved>, Unclear> {
        let facts: Vec<Lit> = row.conditions.iter().map(|condition| tokens.condition(condition, domains)).collect();
        let spared = tokens.spared(row, domains);
        let lacking: Vec<Lit> = lacking.iter().map(|condition| tokens.condition(condition, domains)).collect();
        let mut solver = Solver::new(domains, &tokens.first);
        let mut state = tokens.all.clone();
        if !solver.assert(&mut state, &facts)? || !solver.choose(&mut state, &spared)? {
            return Ok(None);
        }
        let role = &suspect.role.name;
        let shows = |claims: &Claims| has(self.after, self.issuer, role, claims) && !self.had(role, claims);
        // The sample with what the row asks for is such a token more often than not; only else is there much to search.
        let guess = Model { domains: state.domains.clone(), texts: Vec::new() };
        let (claims, changes) = if let Some(guessed) = token(tokens, &guess, solver.domains, &shows) {
            guessed
        } else {
            let Some(model) = search(&mut solver, &state, refused, &lacking)? else { return Ok(None) };
            let refuted = || Unclear::Refuted(format!("role `{role}`, row {}", at + 1));
            token(tokens, &model, solver.domains, &shows).ok_or_else(refuted)?
        };
        let because = self.because(role, &claims);
        let (role, issuer, place) = (role.clone(), self.issuer.name.clone(), row.place.clone());
        Ok(Some(Moved { role, issuer, now: self.now, row: at, place, because, changes, claims }))
    }

    /// Whether the other set lets the token have the role, and believes it at all.
    fn had(&self, role: &str, claims: &Claims) -> bool {
        self.twin().is_some_and(|twin| verified(twin, claims) && has(self.before, twin, role, claims))
    }

    /// Why the other set does not let the token have the role.
    fn because(&self, role: &str, claims: &Claims) -> String {
        let past = self.now == Now::Allowed;
        let (when, asks, does, is, has) =
            if past { ("before", "asked for", "did", "was", "had") } else { ("now", "asks for", "does", "is", "has") };
        let Some(other) = self.before.issuer_by_url(&self.issuer.url) else {
            return format!("{when} there {is} no issuer with this URL");
        };
        if !other.enabled {
            return format!("{when} the issuer {is} disabled");
        }
        let Some(twin) = self.twin() else {
            return format!("{when} the issuer {has} another audience, kind or types of claims");
        };
        let Some(held) = self.before.role(role) else { return format!("{when} there {is} no such role") };
        if held.shadow {
            return format!("{when} the role {is} in shadow");
        }
        if !verified(twin, claims) {
            return format!("{when} the token {is} refused for a claim that it lacks");
        }
        // The row that comes nearest to letting it in.
        let failing = |row: &Row| -> Vec<String> {
            let unmet = row.conditions.iter().filter(|condition| !condition.holds(claims));
            let unmet = unmet.map(|condition| format!("{asks} {} = {}", condition.claim, condition.pattern));
            let vetoes = twin.kind.vetoes().iter().filter(|veto| !row.waive.contains_key(veto.name) && veto.strikes(claims));
            unmet.chain(vetoes.map(|veto| format!("{does} not waive {}", veto.name))).collect()
        };
        let rows = held.rows.iter().enumerate().filter(|(_, row)| row.issuer == twin.name);
        match rows.map(|(at, row)| (at, failing(row))).min_by_key(|(_, failing)| failing.len()) {
            Some((at, failing)) => format!("{when} row {} {}", at + 1, failing.join(" and ")),
            None => format!("{when} the role {has} no row for this issuer"),
        }
    }
}

/// A token that all rows of the other set refuse, or that lacks a claim without which that set believes none.
fn search(solver: &mut Solver<'_>, state: &State, refused: &[Choice], lacking: &[Lit]) -> Result<Option<Model>, TooLarge> {
    let attempts = std::iter::once((None, refused)).chain(lacking.iter().map(|fact| (Some(*fact), &[][..])));
    for (fact, choices) in attempts {
        let mut trial = state.clone();
        if solver.assert(&mut trial, fact.as_slice())?
            && solver.choose(&mut trial, choices)?
            && let Some(model) = solver.solve(trial)?
        {
            return Ok(Some(model));
        }
    }
    Ok(None)
}

/// Whether the set hands the role to the token.
pub(super) fn has(set: &PolicySet, issuer: &Issuer, role: &str, claims: &Claims) -> bool {
    allowed(set, &issuer.name, role, claims).is_some_and(|(_, rehearsed)| !rehearsed)
}

//! Asks that name no role: whom a change leaves with two roles to choose from, and whom with one or none.
//!
//! A token that two roles take gets neither unless its ask names one. That can only begin where one of the two newly lets it in,
//! and only end where one newly shuts it out; so what a comparison found to have moved is where to look.

use std::collections::BTreeSet;

use serde::Serialize;

use super::budget::Budget;
use super::diff::{Diff, Moved, Now, Side, Unanswered, has};
use super::domains::Domains;
use super::near_rows::{NearRows, Way};
use super::solver::{Choice, Lit, Solver, State};
use super::tokens::{Tokens, Unclear};
use super::witness::{Change, token, verified};
use crate::claims::Claims;
use crate::policy::pattern::Condition;
use crate::policy::problem::Place;
use crate::policy::set::{Issuer, PolicySet, Row};

/// Searches of one comparison. Where thousands of roles take the same tokens, a few of them tell enough.
const TRIES: usize = 4_000;

/// Whether an ask without a role can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unnamed {
    /// Not any more: several roles take the token.
    Ambiguous,
    /// Again: one role or none does.
    Clear,
}

/// Tokens whose asks without a role come out otherwise, with one of them.
#[derive(Clone, Debug, Serialize)]
pub struct Ambiguity {
    pub now: Unnamed,
    /// As the set in which it is ambiguous calls it.
    pub issuer: String,
    /// The roles that take the token where it is ambiguous.
    pub roles: Vec<String>,
    /// The role that an ask without one gets in the other set, if any.
    pub instead: Option<String>,
    /// The row that moved.
    pub place: Place,
    /// Beside the issuer's sample.
    pub changes: Vec<Change>,
    pub claims: Claims,
}

/// What a change makes of asks that name no role.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ambiguities {
    /// What becomes ambiguous first.
    pub found: Vec<Ambiguity>,
    pub undecided: Vec<Unanswered>,
}

/// Whose asks without a role become ambiguous between two sets, or stop being so, where `diff` is their comparison.
pub fn ambiguities(old: &PolicySet, new: &PolicySet, diff: &Diff) -> Ambiguities {
    let mut all = Ambiguities::default();
    let (mut tries, mut work) = (TRIES, Budget::ALL);
    for (after, before, now) in [(new, old, Now::Allowed), (old, new, Now::Denied)] {
        for issuer in after.issuers() {
            let moved: Vec<&Moved> = diff.moved.iter().filter(|it| it.now == now && it.issuer == issuer.name).collect();
            if !moved.is_empty() {
                work = Search::new(Side { after, before, issuer, now }, &mut tries).run(&moved, &mut all, work);
            }
        }
    }
    all
}

/// One direction: what is ambiguous in `after` and not in `before`.
struct Search<'s, 't> {
    side: Side<'s>,
    twin: Option<&'s Issuer>,
    after: NearRows<'s>,
    before: Option<NearRows<'s>>,
    lacking: Vec<Condition>,
    tries: &'t mut usize,
}

impl<'s, 't> Search<'s, 't> {
    fn new(side: Side<'s>, tries: &'t mut usize) -> Self {
        let twin = side.twin();
        let lacking = twin.map_or_else(Vec::new, |twin| side.lacking(twin));
        let before = twin.map(|twin| NearRows::new(side.before, twin));
        Self { after: NearRows::new(side.after, side.issuer), side, twin, before, lacking, tries }
    }

    /// What of the work that was allowed is left.
    fn run(mut self, moved: &[&Moved], all: &mut Ambiguities, work: u64) -> u64 {
        let mut domains = Domains::new(work);
        let mut told: Vec<BTreeSet<String>> = Vec::new();
        for moved in moved {
            let row = self.side.after.role(&moved.role).and_then(|role| role.rows.get(moved.row));
            let Some(row) = row else { continue };
            if let Err(unclear) = self.of_row(moved, row, &mut domains, &mut told, all) {
                let reason = unclear.to_string();
                all.undecided.push(Unanswered { role: moved.role.clone(), issuer: moved.issuer.clone(), reason });
                if matches!(unclear, Unclear::TooMany) {
                    break;
                }
            }
        }
        domains.budget.left()
    }

    /// The roles beside its own that take a token of this row.
    fn of_row(
        &mut self,
        moved: &Moved,
        row: &Row,
        domains: &mut Domains,
        told: &mut Vec<BTreeSet<String>>,
        all: &mut Ambiguities,
    ) -> Result<(), Unclear> {
        let rivals: Vec<Way<'s>> = self.after.near(row).into_iter().filter(|(role, _)| role.name != moved.role).collect();
        if rivals.is_empty() {
            return Ok(());
        }
        let held: Vec<Way<'s>> = self.before.as_ref().map_or_else(Vec::new, |before| before.near(row));
        let rows = std::iter::once(row).chain(rivals.iter().chain(&held).map(|(_, row)| *row));
        let conditions = rows.flat_map(|row| &row.conditions).chain(&self.lacking);
        let tokens = Tokens::new(self.side.issuer, self.twin.map(|twin| twin.kind.as_ref()), conditions, domains)?;
        let Some(start) = takes(&tokens, tokens.all.clone(), row, domains)? else { return Ok(()) };
        let own = self.side.after.role(&moved.role).into_iter().map(|role| role.name.as_str());
        let near = Near { row, held: &held, after: own.chain(names(&rivals)).collect(), before: names(&held).collect() };
        for (rival, other) in rivals.iter().copied() {
            let both = |roles: &BTreeSet<String>| roles.contains(&moved.role) && roles.contains(&rival.name);
            if told.iter().any(both) {
                continue;
            }
            let Some(state) = takes(&tokens, start.clone(), other, domains)? else { continue };
            if let Some(found) = self.ambiguity(&tokens, &state, &near, [&moved.role, &rival.name], &moved.place, domains)? {
                told.push(found.roles.iter().cloned().collect());
                all.found.push(found);
            }
        }
        Ok(())
    }

    /// A token of `state` that the other set leaves one role at most.
    fn ambiguity(
        &mut self,
        tokens: &Tokens<'_>,
        state: &State,
        near: &Near<'_>,
        pair: [&str; 2],
        place: &Place,
        domains: &mut Domains,
    ) -> Result<Option<Ambiguity>, Unclear> {
        let refused: Vec<(&str, Choice)> =
            near.held.iter().map(|(role, row)| (role.name.as_str(), tokens.refuses(row, domains))).collect();
        // Whichever one role is left: of the pair first, which is what a change mostly leaves.
        let (likely, others): (Vec<&str>, Vec<&str>) = near.before.iter().copied().partition(|name| pair.contains(name));
        let mut left: Vec<Option<&str>> = likely.into_iter().chain(others).map(Some).collect();
        if left.is_empty() {
            left.push(None);
        }
        let mut attempts: Vec<(Vec<Lit>, Vec<Choice>)> = left
            .into_iter()
            .map(|left| {
                let refused = refused.iter().filter(|(name, _)| Some(*name) != left);
                (Vec::new(), refused.map(|(_, choice)| choice.clone()).collect())
            })
            .collect();
        attempts.extend(self.lacking.iter().map(|condition| (vec![tokens.condition(condition, domains)], Vec::new())));
        for (facts, choices) in attempts {
            *self.tries = self.tries.checked_sub(1).ok_or(Unclear::TooMany)?;
            let mut solver = Solver::new(domains, &tokens.first);
            let mut trial = state.clone();
            if !solver.assert(&mut trial, &facts)? || !solver.choose(&mut trial, &choices)? {
                continue;
            }
            let Some(model) = solver.solve(trial)? else { continue };
            // Of a token that the row takes no other roles need to be asked than those near to it.
            let shows = |claims: &Claims| {
                row_takes(near.row, self.side.issuer, claims)
                    && pair.iter().all(|role| has(self.side.after, self.side.issuer, role, claims))
                    && self.taken_before(near, claims).len() < 2
            };
            let refuted = || Unclear::Refuted(format!("roles {}", pair.join(", ")));
            let (claims, changes) = token(tokens, &model, domains, &shows).ok_or_else(refuted)?;
            return Ok(Some(Ambiguity {
                now: if self.side.now == Now::Allowed { Unnamed::Ambiguous } else { Unnamed::Clear },
                issuer: self.side.issuer.name.clone(),
                roles: taken(self.side.after, self.side.issuer, &near.after, &claims),
                instead: self.taken_before(near, &claims).pop(),
                place: place.clone(),
                changes,
                claims,
            }));
        }
        Ok(None)
    }

    fn taken_before(&self, near: &Near<'_>, claims: &Claims) -> Vec<String> {
        let twin = self.twin.filter(|twin| verified(twin, claims));
        twin.map_or_else(Vec::new, |twin| taken(self.side.before, twin, &near.before, claims))
    }
}

/// A row that moved, and what may take its tokens.
struct Near<'a> {
    row: &'a Row,
    /// Rows of the other set.
    held: &'a [Way<'a>],
    /// The names of the roles, its own among them.
    after: BTreeSet<&'a str>,
    before: BTreeSet<&'a str>,
}

fn names<'a>(ways: &'a [Way<'_>]) -> impl Iterator<Item = &'a str> {
    ways.iter().map(|(role, _)| role.name.as_str())
}

/// What is known of a token, and that the row takes it.
fn takes(tokens: &Tokens<'_>, mut state: State, row: &Row, domains: &mut Domains) -> Result<Option<State>, Unclear> {
    let facts: Vec<Lit> = row.conditions.iter().map(|condition| tokens.condition(condition, domains)).collect();
    let spared = tokens.spared(row, domains);
    let mut solver = Solver::new(domains, &tokens.first);
    let possible = solver.assert(&mut state, &facts)? && solver.choose(&mut state, &spared)?;
    Ok(possible.then_some(state))
}

fn row_takes(row: &Row, issuer: &Issuer, claims: &Claims) -> bool {
    let vetoes = issuer.kind.vetoes().iter().filter(|veto| !row.waive.contains_key(veto.name));
    row.conditions.iter().all(|condition| condition.holds(claims)) && !vetoes.into_iter().any(|veto| veto.strikes(claims))
}

/// Which of the roles the set hands to the token, as the broker decides it.
fn taken(set: &PolicySet, issuer: &Issuer, roles: &BTreeSet<&str>, claims: &Claims) -> Vec<String> {
    roles.iter().filter(|role| has(set, issuer, role, claims)).map(|role| (*role).to_owned()).collect()
}

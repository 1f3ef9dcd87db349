//! `never` and `only`, over every token that the issuer can make.

use std::collections::HashMap;
use std::rc::Rc;

use serde::Serialize;

use super::budget::Budget;
use super::domains::{Atom, Domains};
use super::facts::negated;
use super::language::Texts;
use super::solver::{Choice, Lit, Model, Solver, State};
use super::tokens::{Tokens, Unclear};
use super::witness::{Change, allowed, token};
use crate::claims::Claims;
use crate::policy::problem::{Place, Problem};
use crate::policy::set::{Bound, Invariant, Issuer, PolicySet, Role};

/// What came of one invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    pub invariant: String,
    pub issuer: String,
    /// `never` or `only`.
    pub bound: &'static str,
    pub place: Place,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// No token breaks it.
    Holds {
        /// How many rows were looked at.
        rows: usize,
        /// Why it says less than it seems to.
        note: Option<String>,
    },
    Broken {
        counterexamples: Vec<Counterexample>,
        /// Roles that break it too; of these no token is shown.
        also: Vec<String>,
    },
    /// Neither shown nor refuted, which counts against the set.
    Undecided { reason: String },
}

/// A token that breaks an invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Counterexample {
    pub role: String,
    /// Counted from zero.
    pub row: usize,
    /// Where the row stands that lets the token in.
    pub place: Place,
    /// The role is only rehearsed: it would be handed out once `shadow` is taken away.
    pub rehearsed: bool,
    pub because: String,
    /// Beside the issuer's sample.
    pub changes: Vec<Change>,
    pub claims: Claims,
}

impl Proof {
    pub const fn holds(&self) -> bool {
        matches!(self.outcome, Outcome::Holds { .. })
    }

    /// What stands against the set, if it does not hold.
    pub fn problem(&self) -> Option<Problem> {
        let name = &self.invariant;
        match &self.outcome {
            Outcome::Holds { .. } => None,
            Outcome::Undecided { reason } => {
                let message = format!("whether the invariant `{name}` holds could not be decided: {reason}");
                Some(Problem::at(&self.place, UNDECIDED, message))
            }
            Outcome::Broken { counterexamples, also } => {
                let roles: Vec<&str> =
                    counterexamples.iter().map(|shown| shown.role.as_str()).chain(also.iter().map(String::as_str)).collect();
                let message = format!("the invariant `{name}` does not hold: {} can be had against it", listed(&roles));
                let problem = Problem::at(&self.place, BROKEN, message);
                let Some(first) = counterexamples.first() else { return Some(problem) };
                let place = &first.place;
                Some(
                    problem.help(format!(
                        "see {}:{}; {}; `daypass policy prove` shows a token",
                        place.file, place.line, first.because
                    )),
                )
            }
        }
    }
}

/// The first few names of many.
fn listed(roles: &[&str]) -> String {
    let mut names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    names.dedup();
    let more = names.len().saturating_sub(3);
    names.truncate(3);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// The rules of what is found here.
const BROKEN: &str = "invariant-broken";
const UNDECIDED: &str = "invariant-undecided";

/// Tokens shown for one invariant.
const SHOWN: usize = 16;

/// Decides every invariant of the set, in the order of their names.
pub fn prove(set: &PolicySet) -> Vec<Proof> {
    let mut outcomes: HashMap<&str, Outcome> = HashMap::new();
    let mut work = Budget::ALL;
    for issuer in set.issuers() {
        let invariants: Vec<&Invariant> = set.invariants().iter().filter(|invariant| invariant.issuer == issuer.name).collect();
        if invariants.is_empty() {
            continue;
        }
        let mut domains = Domains::new(work);
        let prover = Prover::new(set, issuer, &invariants, &mut domains);
        for invariant in invariants {
            let outcome = match &prover {
                Ok(prover) => prover.outcome(invariant, &mut domains),
                Err(unclear) => Outcome::Undecided { reason: unclear.to_string() },
            };
            outcomes.insert(&invariant.name, outcome);
        }
        work = domains.budget.left();
    }
    let missing = || Outcome::Undecided { reason: "its issuer is not in the set".to_owned() };
    let proof = |invariant: &Invariant| Proof {
        invariant: invariant.name.clone(),
        issuer: invariant.issuer.clone(),
        bound: match invariant.bound {
            Bound::Never => "never",
            Bound::Only => "only",
        },
        place: invariant.place.clone(),
        outcome: outcomes.remove(invariant.name.as_str()).unwrap_or_else(missing),
    };
    set.invariants().iter().map(proof).collect()
}

/// A row with all tokens that it lets in.
struct Way<'s> {
    role: &'s Role,
    tokens: State,
}

struct Prover<'s> {
    set: &'s PolicySet,
    tokens: Tokens<'s>,
    /// Rows that let some token in.
    ways: Vec<Way<'s>>,
}

impl<'s> Prover<'s> {
    fn new(set: &'s PolicySet, issuer: &'s Issuer, invariants: &[&Invariant], domains: &mut Domains) -> Result<Self, Unclear> {
        let rows = || {
            let all = set.roles().iter().flat_map(|role| role.rows.iter().map(move |row| (role, row)));
            // A disabled issuer lets nobody in.
            all.filter(|(_, row)| issuer.enabled && row.issuer == issuer.name)
        };
        let conditions = rows().flat_map(|(_, row)| &row.conditions);
        let conditions = conditions.chain(invariants.iter().flat_map(|invariant| &invariant.conditions));
        let tokens = Tokens::new(issuer, None, conditions, domains)?;
        let mut ways = Vec::new();
        for (role, row) in rows() {
            let mut state = tokens.all.clone();
            let facts: Vec<Lit> = row.conditions.iter().map(|condition| tokens.condition(condition, domains)).collect();
            let spared = tokens.spared(row, domains);
            let mut solver = Solver::new(domains, &tokens.first);
            if solver.assert(&mut state, &facts)? && solver.choose(&mut state, &spared)? {
                ways.push(Way { role, tokens: state });
            }
        }
        Ok(Self { set, tokens, ways })
    }

    fn outcome(&self, invariant: &Invariant, domains: &mut Domains) -> Outcome {
        self.decide(invariant, domains).unwrap_or_else(|unclear| Outcome::Undecided { reason: unclear.to_string() })
    }

    fn decide(&self, invariant: &Invariant, domains: &mut Domains) -> Result<Outcome, Unclear> {
        let (facts, choices) = self.broken(invariant, domains);
        let (mut rows, mut counterexamples, mut also): (usize, Vec<Counterexample>, Vec<String>) = (0, Vec::new(), Vec::new());
        for way in self.ways.iter().filter(|way| invariant.role.takes_text(&way.role.name)) {
            rows += 1;
            let told = counterexamples.last().is_some_and(|last| last.role == way.role.name);
            if told || also.last() == Some(&way.role.name) {
                continue;
            }
            let Some(model) = solve(&self.tokens, way.tokens.clone(), &facts, &choices, domains)? else { continue };
            if counterexamples.len() < SHOWN {
                counterexamples.push(self.counterexample(invariant, way, &model, domains)?);
            } else {
                also.push(way.role.name.clone());
            }
        }
        if counterexamples.is_empty() {
            return Ok(Outcome::Holds { rows, note: self.note(invariant, rows, &facts, &choices, domains)? });
        }
        Ok(Outcome::Broken { counterexamples, also })
    }

    /// What a token must be like to break the invariant, once it has the role.
    fn broken(&self, invariant: &Invariant, domains: &mut Domains) -> (Vec<Lit>, Vec<Choice>) {
        let facts: Vec<Lit> = invariant.conditions.iter().map(|condition| self.tokens.condition(condition, domains)).collect();
        match invariant.bound {
            Bound::Never => (facts, Vec::new()),
            Bound::Only => {
                let any = domains.atom(Atom::Text(Texts::Any));
                let ways = facts.into_iter().flat_map(|fact| negated(fact, any)).map(|fact| vec![fact]).collect();
                (Vec::new(), vec![self.tokens.choice(ways, domains)])
            }
        }
    }

    fn counterexample(
        &self,
        invariant: &Invariant,
        way: &Way<'_>,
        model: &Model,
        domains: &mut Domains,
    ) -> Result<Counterexample, Unclear> {
        let (issuer, role) = (self.tokens.issuer.name.as_str(), way.role.name.as_str());
        let shows = |claims: &Claims| breaks(invariant, claims) && allowed(self.set, issuer, role, claims).is_some();
        let refuted = || Unclear::Refuted(format!("role `{role}`, invariant `{}`", invariant.name));
        let (claims, changes) = token(&self.tokens, model, domains, &shows).ok_or_else(refuted)?;
        let (row, rehearsed) = allowed(self.set, issuer, role, &claims).ok_or_else(refuted)?;
        let place = way.role.rows.get(row).map_or_else(|| way.role.place.clone(), |row| row.place.clone());
        let because = because(invariant, self.tokens.issuer, way.role, row, &claims);
        Ok(Counterexample { role: role.to_owned(), row, place, rehearsed, because, changes, claims })
    }

    /// An invariant that holds for want of roles or tokens is likely not what was meant.
    fn note(
        &self,
        invariant: &Invariant,
        rows: usize,
        facts: &[Lit],
        choices: &[Choice],
        domains: &mut Domains,
    ) -> Result<Option<String>, Unclear> {
        let issuer = &self.tokens.issuer;
        if !issuer.enabled {
            return Ok(Some(format!("the issuer `{}` is disabled, so that its tokens get nothing", issuer.name)));
        }
        if solve(&self.tokens, self.tokens.all.clone(), facts, choices, domains)?.is_none() {
            let what = if invariant.bound == Bound::Never { "is like that" } else { "is unlike that" };
            return Ok(Some(format!("no token of `{}` {what}, whatever the roles", issuer.name)));
        }
        Ok((rows == 0).then(|| format!("no token of `{}` can have a role that it speaks of", issuer.name)))
    }
}

fn solve(
    tokens: &Tokens<'_>,
    mut state: State,
    facts: &[Lit],
    choices: &[Choice],
    domains: &mut Domains,
) -> Result<Option<Model>, Unclear> {
    let mut solver = Solver::new(domains, &tokens.first);
    if !solver.assert(&mut state, facts)? || !solver.choose(&mut state, &choices.iter().map(Rc::clone).collect::<Vec<_>>())? {
        return Ok(None);
    }
    Ok(solver.solve(state)?)
}

/// Whether a token that has the role breaks the invariant.
fn breaks(invariant: &Invariant, claims: &Claims) -> bool {
    let all = invariant.conditions.iter().all(|condition| condition.holds(claims));
    match invariant.bound {
        Bound::Never => all,
        Bound::Only => !all,
    }
}

/// What the row would have to say.
fn because(invariant: &Invariant, issuer: &Issuer, role: &Role, row: usize, claims: &Claims) -> String {
    let Some(taken) = role.rows.get(row) else { return String::new() };
    let broken = invariant.conditions.iter().filter(|condition| invariant.bound == Bound::Never || !condition.holds(claims));
    let asked = broken.map(|condition| match taken.conditions.iter().find(|own| own.claim == condition.claim) {
        Some(own) => format!("asks for {} = {}", own.claim, own.pattern),
        None if claims.get(&condition.claim).is_none() => format!("does not ask for {}, which a token may lack", condition.claim),
        None => format!("does not ask for {}", condition.claim),
    });
    let waived = issuer.kind.vetoes().iter().filter(|veto| taken.waive.contains_key(veto.name) && veto.strikes(claims));
    let reasons: Vec<String> = asked.chain(waived.map(|veto| format!("waives {}", veto.name))).collect();
    format!("row {} {}", row + 1, reasons.join(" and "))
}

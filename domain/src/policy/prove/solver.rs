//! Is there a token that satisfies all of this? A small search over claims.
//!
//! What is known of a token is a domain per claim, equalities between claims, and choices: of several ways, each some facts
//! together, at least one is taken. Choices with one way left are taken at once; then one is tried after the other. Once no
//! choice is left the claims are independent of each other, but for equalities.

use std::rc::Rc;

use super::domains::{Atom, AtomId, DomainId, Domains};
use super::language::{Texts, TooLarge};

/// The position of a claim among those of a proof.
pub(super) type Var = usize;

/// Something known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lit {
    Is {
        var: Var,
        atom: AtomId,
        holds: bool,
    },
    /// Both are texts, and the same.
    Same(Var, Var),
    /// Both are texts, and not the same.
    Differ(Var, Var),
}

/// Of these ways at least one is taken.
pub(super) type Choice = Rc<Vec<Vec<Lit>>>;

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) domains: Vec<DomainId>,
    same: Vec<(Var, Var)>,
    differ: Vec<(Var, Var)>,
    open: Vec<Choice>,
    /// There is no such token.
    pub(super) impossible: bool,
}

impl State {
    /// What is known, and nothing to choose.
    fn without_choices(&self) -> Self {
        let (domains, same, differ) = (self.domains.clone(), self.same.clone(), self.differ.clone());
        Self { domains, same, differ, open: Vec::new(), impossible: self.impossible }
    }
}

/// A way to satisfy everything: the domain of each claim, and texts that some claims must have because of others.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) domains: Vec<DomainId>,
    pub(super) texts: Vec<(Var, String)>,
}

/// Searches for tokens.
#[derive(Debug)]
pub(super) struct Solver<'d> {
    pub(super) domains: &'d mut Domains,
    /// A text, whichever.
    any: AtomId,
    /// By claim: texts to try before others.
    first: &'d [Vec<String>],
}

impl<'d> Solver<'d> {
    /// Begins a question.
    pub(super) fn new(domains: &'d mut Domains, first: &'d [Vec<String>]) -> Self {
        let any = domains.atom(Atom::Text(Texts::Any));
        domains.budget.ask();
        Self { domains, any, first }
    }

    /// Adds facts; `false` when they contradict what is known.
    pub(super) fn assert(&mut self, state: &mut State, facts: &[Lit]) -> Result<bool, TooLarge> {
        for fact in facts {
            let holds = match *fact {
                Lit::Is { var, atom, holds } => self.narrow(state, var, (atom, holds))?,
                Lit::Same(a, b) | Lit::Differ(a, b) => {
                    let texts = self.narrow(state, a, (self.any, true))? && self.narrow(state, b, (self.any, true))?;
                    let differ = matches!(fact, Lit::Differ(..));
                    if differ { &mut state.differ } else { &mut state.same }.push((a, b));
                    texts && if differ { a != b } else { self.can_meet(state, a, b)? }
                }
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn narrow(&mut self, state: &mut State, var: Var, fact: (AtomId, bool)) -> Result<bool, TooLarge> {
        let Some(domain) = state.domains.get_mut(var) else { return Ok(false) };
        *domain = self.domains.narrow(*domain, fact)?;
        self.domains.is_empty(*domain).map(|empty| !empty)
    }

    fn can_meet(&mut self, state: &State, a: Var, b: Var) -> Result<bool, TooLarge> {
        let (Some(one), Some(other)) = (state.domains.get(a), state.domains.get(b)) else { return Ok(false) };
        let both = self.domains.meet(*one, *other)?;
        self.domains.is_empty(both).map(|empty| !empty)
    }

    /// Adds choices and takes those that leave nothing to choose; `false` when one cannot be satisfied.
    pub(super) fn choose(&mut self, state: &mut State, choices: &[Choice]) -> Result<bool, TooLarge> {
        state.open.extend(choices.iter().cloned());
        self.propagate(state)
    }

    fn propagate(&mut self, state: &mut State) -> Result<bool, TooLarge> {
        loop {
            let mut changed = false;
            for choice in std::mem::take(&mut state.open) {
                match self.live(state, &choice)? {
                    Live::Settled => {}
                    Live::Ways(ways) => match ways.as_slice() {
                        [] => return Ok(false),
                        [way] => {
                            if !choice.get(*way).map_or(Ok(false), |way| self.assert(state, way))? {
                                return Ok(false);
                            }
                            changed = true;
                        }
                        _ => state.open.push(choice),
                    },
                }
            }
            if !changed {
                return Ok(true);
            }
        }
    }

    /// Which ways of a choice are left.
    fn live(&mut self, state: &State, choice: &Choice) -> Result<Live, TooLarge> {
        self.domains.budget.spend(100)?;
        let mut ways = Vec::new();
        for (at, way) in choice.iter().enumerate() {
            match self.standing(state, way)? {
                Standing::Holds => return Ok(Live::Settled),
                Standing::Possible => ways.push(at),
                Standing::Impossible => {}
            }
        }
        Ok(Live::Ways(ways))
    }

    fn standing(&mut self, state: &State, way: &[Lit]) -> Result<Standing, TooLarge> {
        let mut all_hold = true;
        for fact in way {
            match *fact {
                Lit::Is { var, atom, holds } => {
                    let Some(domain) = state.domains.get(var).copied() else { return Ok(Standing::Impossible) };
                    if !self.domains.can(domain, (atom, !holds))? {
                        continue;
                    }
                    all_hold = false;
                    if !self.domains.can(domain, (atom, holds))? {
                        return Ok(Standing::Impossible);
                    }
                }
                Lit::Same(a, b) | Lit::Differ(a, b) => {
                    let differ = matches!(fact, Lit::Differ(..));
                    let is = |pairs: &[(Var, Var)]| pairs.iter().any(|pair| *pair == (a, b) || *pair == (b, a));
                    let (wanted, against) = if differ { (&state.differ, &state.same) } else { (&state.same, &state.differ) };
                    if is(against) || (differ && a == b) {
                        return Ok(Standing::Impossible);
                    }
                    all_hold &= is(wanted);
                }
            }
        }
        if all_hold {
            return Ok(Standing::Holds);
        }
        // Facts that are possible one by one need not be so together.
        let possible = way.len() == 1 && matches!(way.first(), Some(Lit::Is { .. })) || {
            let mut trial = state.without_choices();
            self.domains.budget.spend(500 + 4 * (trial.domains.len() + trial.same.len() + trial.differ.len()))?;
            self.assert(&mut trial, way)?
        };
        Ok(if possible { Standing::Possible } else { Standing::Impossible })
    }

    /// A way to satisfy everything, or that there is none.
    pub(super) fn solve(&mut self, mut state: State) -> Result<Option<Model>, TooLarge> {
        self.domains.budget.spend(1_000 + state.domains.len() + 20 * state.open.len())?;
        if state.impossible || !self.propagate(&mut state)? {
            return Ok(None);
        }
        let mut fewest: Option<(usize, Vec<usize>)> = None;
        for at in 0..state.open.len() {
            let Some(choice) = state.open.get(at).cloned() else { continue };
            if let Live::Ways(ways) = self.live(&state, &choice)?
                && fewest.as_ref().is_none_or(|(_, least)| ways.len() < least.len())
            {
                fewest = Some((at, ways));
            }
        }
        let Some((at, ways)) = fewest else { return self.settle(&state) };
        let choice = state.open.swap_remove(at);
        for way in ways.into_iter().filter_map(|at| choice.get(at)) {
            let mut trial = state.clone();
            if self.assert(&mut trial, way)?
                && let Some(model) = self.solve(trial)?
            {
                return Ok(Some(model));
            }
        }
        Ok(None)
    }

    /// No choice is left: claims that must be the same get one text, claims that must differ get two.
    fn settle(&mut self, state: &State) -> Result<Option<Model>, TooLarge> {
        let mut class: Vec<Var> = (0..state.domains.len()).collect();
        for (a, b) in &state.same {
            if let (Some(a), Some(b)) = (class.get(*a).copied(), class.get(*b).copied()) {
                class.iter_mut().filter(|of| **of == b).for_each(|of| *of = a);
            }
        }
        let of = |var: Var| class.get(var).copied().unwrap_or(var);
        let differ: Vec<(Var, Var)> = state.differ.iter().map(|(a, b)| (of(*a), of(*b))).collect();
        let mut classes: Vec<Var> = state.same.iter().chain(&state.differ).flat_map(|(a, b)| [of(*a), of(*b)]).collect();
        classes.sort_unstable();
        classes.dedup();
        let mut candidates: Vec<(Var, Vec<String>)> = Vec::new();
        for name in classes {
            let members: Vec<Var> = (0..class.len()).filter(|var| of(*var) == name).collect();
            let mut both: Option<DomainId> = None;
            for domain in members.iter().filter_map(|var| state.domains.get(*var).copied()) {
                both = Some(both.map_or(Ok(domain), |both| self.domains.meet(both, domain))?);
            }
            let first: Vec<String> = members.iter().filter_map(|var| self.first.get(*var)).flatten().cloned().collect();
            // One text more than there are others to differ from is always enough.
            let enough = 1 + differ.iter().filter(|(a, b)| *a == name || *b == name).count();
            let texts = both.map_or(Ok(Vec::new()), |both| self.domains.texts(both, enough, &first))?;
            candidates.push((name, texts));
        }
        let mut chosen: Vec<(Var, String)> = Vec::new();
        if !pick(&candidates, &differ, &mut chosen) {
            return Ok(None);
        }
        let text = |name: Var| chosen.iter().find(|(of, _)| *of == name).map(|(_, text)| text.clone());
        let texts = (0..class.len()).filter_map(|var| Some((var, text(of(var))?))).collect();
        Ok(Some(Model { domains: state.domains.clone(), texts }))
    }
}

/// Gives each of the claims a text, so that those that must differ do.
fn pick(rest: &[(Var, Vec<String>)], differ: &[(Var, Var)], chosen: &mut Vec<(Var, String)>) -> bool {
    let Some(((name, texts), rest)) = rest.split_first() else { return true };
    for text in texts {
        let clashes = differ.iter().any(|(a, b)| {
            let other = if a == name { b } else { a };
            (a == name || b == name) && (other == name || chosen.iter().any(|(of, taken)| of == other && taken == text))
        });
        if !clashes {
            chosen.push((*name, text.clone()));
            if pick(rest, differ, chosen) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}

/// What is left of a choice.
enum Live {
    /// One of its ways holds already.
    Settled,
    Ways(Vec<usize>),
}

enum Standing {
    Holds,
    Possible,
    Impossible,
}

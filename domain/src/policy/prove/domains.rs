//! What one claim can still be, when some things are known to hold of it and others not to.
//!
//! A domain is a set of facts, each an atom with a sign. Domains are known by number, and what was found out of one is kept, so
//! that a proof over a thousand roles asks each question about a claim once. [`values`](super::values) finds out.

use std::collections::HashMap;
use std::rc::Rc;

use super::budget::Budget;
use super::language::{Texts, TooLarge};
use super::values::Automata;
use crate::claims::Json;
use crate::issuers::issuer::Type;

/// Something that can hold of a claim. None holds of a claim that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    Present,
    /// A text of this set.
    Text(Texts),
    /// A text, and none of this set.
    Beyond(Texts),
    /// A list of texts, of which one lies in this set.
    Element(Texts),
    Ints(Vec<i64>),
    Bools(Vec<bool>),
}

pub(super) type AtomId = usize;
pub(super) type DomainId = usize;
/// An atom, and whether it holds.
pub(super) type Fact = (AtomId, bool);

/// What a claim is before anything is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) ty: Type,
    /// Bytes of a text.
    pub(super) longest: usize,
}

/// A domain is another one with one fact more, so that what many of them share is held once.
#[derive(Debug)]
struct Domain {
    shape: Shape,
    narrows: Option<(DomainId, Fact)>,
    known: Option<Result<Known, TooLarge>>,
}

/// What a domain holds.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The claim may be missing.
    pub(super) absent: bool,
    /// One of its possible values.
    pub(super) value: Option<Rc<Json>>,
}

/// All domains of a proof.
#[derive(Debug)]
pub(super) struct Domains {
    atoms: Vec<Rc<Atom>>,
    atom_index: HashMap<Rc<Atom>, AtomId>,
    pub(super) automata: Automata,
    known: Vec<Domain>,
    whole: HashMap<Shape, DomainId>,
    narrowed: HashMap<(DomainId, Fact), DomainId>,
    pub(super) budget: Budget,
}

impl Domains {
    /// Bytes for which a domain counts, with its place in the index.
    const BYTES: usize = 192;

    /// What may be spent on all that is asked of them.
    pub(super) fn new(work: u64) -> Self {
        let mut budget = Budget::new(work);
        budget.ask();
        Self {
            atoms: Vec::new(),
            atom_index: HashMap::new(),
            automata: Automata::default(),
            known: Vec::new(),
            whole: HashMap::new(),
            narrowed: HashMap::new(),
            budget,
        }
    }

    pub(super) fn atom(&mut self, atom: Atom) -> AtomId {
        if let Some(id) = self.atom_index.get(&atom) {
            return *id;
        }
        let (id, atom) = (self.atoms.len(), Rc::new(atom));
        self.atoms.push(Rc::clone(&atom));
        self.atom_index.insert(atom, id);
        id
    }

    pub(super) fn domain(&mut self, shape: Shape, facts: Vec<Fact>) -> Result<DomainId, TooLarge> {
        let whole = if let Some(whole) = self.whole.get(&shape) {
            *whole
        } else {
            let whole = self.put(Domain { shape, narrows: None, known: None })?;
            self.whole.insert(shape, whole);
            whole
        };
        facts.into_iter().try_fold(whole, |domain, fact| self.narrow(domain, fact))
    }

    fn put(&mut self, domain: Domain) -> Result<DomainId, TooLarge> {
        self.budget.keep(Self::BYTES)?;
        self.budget.spend(300)?;
        self.known.push(domain);
        Ok(self.known.len().saturating_sub(1))
    }

    /// The part of a domain in which the fact holds.
    pub(super) fn narrow(&mut self, domain: DomainId, fact: Fact) -> Result<DomainId, TooLarge> {
        if let Some(narrow) = self.narrowed.get(&(domain, fact)) {
            return Ok(*narrow);
        }
        let held = self.known.get(domain).ok_or(TooLarge)?;
        let shape = held.shape;
        // Something that the domain holds and the fact shuts out tells at once that the fact is new.
        let is_new = held.known.as_ref().and_then(|known| known.as_ref().ok()).is_some_and(|known| {
            known.value.as_deref().is_some_and(|value| !self.is_true(fact, Some(value))) || (known.absent && fact.1)
        });
        let narrow = if !is_new && self.parts(domain)?.1.contains(&fact) {
            domain
        } else {
            self.put(Domain { shape, narrows: Some((domain, fact)), known: None })?
        };
        self.narrowed.insert((domain, fact), narrow);
        Ok(narrow)
    }

    /// What lies in both.
    pub(super) fn meet(&mut self, one: DomainId, other: DomainId) -> Result<DomainId, TooLarge> {
        let ((shape, facts), (second, more)) = (self.parts(one)?, self.parts(other)?);
        let both =
            if shape.longest <= second.longest { one } else { self.domain(Shape { longest: second.longest, ..shape }, facts)? };
        more.into_iter().try_fold(both, |both, fact| self.narrow(both, fact))
    }

    /// All facts, the first that was known first.
    fn parts(&mut self, domain: DomainId) -> Result<(Shape, Vec<Fact>), TooLarge> {
        let mut facts = Vec::new();
        let (mut at, mut shape) = (Some(domain), None);
        while let Some(domain) = at.and_then(|at| self.known.get(at)) {
            shape = Some(domain.shape);
            facts.extend(domain.narrows.map(|(_, fact)| fact));
            at = domain.narrows.map(|(wider, _)| wider);
        }
        facts.reverse();
        self.budget.spend(50 + facts.len().saturating_mul(3))?;
        shape.map(|shape| (shape, facts)).ok_or(TooLarge)
    }

    pub(super) fn is_empty(&mut self, domain: DomainId) -> Result<bool, TooLarge> {
        self.known(domain).map(|known| !known.absent && known.value.is_none())
    }

    /// Whether the fact holds of something in the domain.
    pub(super) fn can(&mut self, domain: DomainId, fact: Fact) -> Result<bool, TooLarge> {
        self.budget.spend(60)?;
        // What was found before answers most questions.
        let known = self.known(domain)?;
        let value = known.value.as_deref().is_some_and(|value| self.is_true(fact, Some(value)));
        if value || (known.absent && !fact.1) {
            return Ok(true);
        }
        let narrow = self.narrow(domain, fact)?;
        self.is_empty(narrow).map(|empty| !empty)
    }

    /// What the domain holds; found out once, and so is that it would take too long.
    pub(super) fn known(&mut self, id: DomainId) -> Result<Known, TooLarge> {
        if let Some(known) = self.known.get(id).and_then(|domain| domain.known.clone()) {
            return known;
        }
        let known = self.find(id);
        if let Some(domain) = self.known.get_mut(id) {
            domain.known = Some(known.clone());
        }
        known
    }

    fn find(&mut self, id: DomainId) -> Result<Known, TooLarge> {
        let narrows = self.known.get(id).and_then(|domain| domain.narrows);
        let wider = narrows.and_then(|(wider, fact)| Some((self.known.get(wider)?.known.clone()?.ok()?, fact)));
        if let Some((wider, fact)) = wider {
            let absent = wider.absent && !fact.1;
            if wider.value.as_deref().is_none_or(|value| self.is_true(fact, Some(value))) {
                return Ok(Known { absent, value: wider.value });
            }
        }
        if let Some(found) = self.found_before(narrows) {
            return Ok(found);
        }
        let (shape, facts) = self.parts(id)?;
        let absent = facts.iter().all(|(_, holds)| !holds);
        Ok(Known { absent, value: self.value(shape, &facts)?.map(Rc::new) })
    }

    /// What was found of the last fact without the one before it is often an answer with it, too.
    fn found_before(&self, narrows: Option<(DomainId, Fact)>) -> Option<Known> {
        let (wider, fact) = narrows?;
        let (before, last) = self.known.get(wider)?.narrows?;
        let beside = *self.narrowed.get(&(before, fact))?;
        let known = self.known.get(beside)?.known.clone()?.ok()?;
        let holds = known.value.as_deref().is_none_or(|value| self.is_true(last, Some(value)));
        holds.then_some(Known { absent: known.absent && !last.1, value: known.value })
    }

    /// The atoms of the facts.
    pub(super) fn atoms(&self, facts: &[Fact]) -> Vec<(Rc<Atom>, bool)> {
        facts.iter().filter_map(|(atom, holds)| Some((Rc::clone(self.atoms.get(*atom)?), *holds))).collect()
    }

    /// Up to `count` texts of the domain, those of `first` that lie in it before others; fewer only where there are no more.
    pub(super) fn texts(&mut self, id: DomainId, count: usize, first: &[String]) -> Result<Vec<String>, TooLarge> {
        let (shape, facts) = self.parts(id)?;
        self.some_texts(shape, &facts, count, first)
    }

    /// Whether a fact is true of a value, or of a claim that is missing.
    pub(super) fn is_true(&self, fact: Fact, value: Option<&Json>) -> bool {
        self.atoms.get(fact.0).is_some_and(|atom| value.is_some_and(|value| atom.holds(value)) == fact.1)
    }

    /// Whether a value, or that the claim is missing, lies in the domain.
    pub(super) fn has(&self, id: DomainId, value: Option<&Json>) -> bool {
        let (mut at, mut seen) = (Some(id), false);
        while let Some(domain) = at.and_then(|at| self.known.get(at)) {
            seen = true;
            if domain.narrows.is_some_and(|(_, fact)| !self.is_true(fact, value)) {
                return false;
            }
            at = domain.narrows.map(|(wider, _)| wider);
        }
        seen
    }
}

impl Atom {
    /// Whether values of the type can satisfy the atom at all.
    pub(super) const fn fits(&self, ty: Type) -> bool {
        match self {
            Self::Present => true,
            Self::Text(_) | Self::Beyond(_) => matches!(ty, Type::String),
            Self::Element(_) => matches!(ty, Type::Strings),
            Self::Ints(_) => matches!(ty, Type::Integer),
            Self::Bools(_) => matches!(ty, Type::Boolean),
        }
    }

    pub(super) fn holds(&self, value: &Json) -> bool {
        match (self, value) {
            (_, Json::Null) => false,
            (Self::Present, _) => true,
            (Self::Text(texts), Json::String(text)) => texts.has(text),
            (Self::Beyond(texts), Json::String(text)) => !texts.has(text),
            (Self::Element(texts), Json::Array(items)) => items.iter().filter_map(Json::as_str).any(|text| texts.has(text)),
            (Self::Ints(ints), Json::Int(number)) => ints.contains(number),
            (Self::Bools(bools), Json::Bool(value)) => bools.contains(value),
            _ => false,
        }
    }
}

//! What one claim can still be, when some things are known to hold of it and others not to.
//!
//! A domain is a set of facts, each an atom with a sign. Domains are kept once each and known by number, so that a proof over
//! a thousand roles asks each question about a claim once.

use std::collections::HashMap;
use std::rc::Rc;

use super::language::{Automaton, Texts, TooLarge, shortest};
use crate::claims::Json;
use crate::issuers::issuer::Type;

/// Something that can hold of a claim. None holds of a claim that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Atom {
    Present,
    /// A text of this set.
    Text(Texts),
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

#[derive(Debug)]
struct Domain {
    shape: Shape,
    /// Sorted.
    facts: Vec<Fact>,
    known: Option<Known>,
}

/// What a domain holds.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The claim may be missing.
    pub(super) absent: bool,
    /// One of its possible values.
    pub(super) value: Option<Json>,
}

/// All domains of a proof.
#[derive(Debug, Default)]
pub(super) struct Domains {
    atoms: Vec<Atom>,
    atom_index: HashMap<Atom, AtomId>,
    automata: HashMap<AtomId, Rc<Automaton>>,
    plain: Option<Rc<Automaton>>,
    known: Vec<Domain>,
    index: HashMap<(Shape, Vec<Fact>), DomainId>,
    narrowed: HashMap<(DomainId, Fact), DomainId>,
}

impl Domains {
    pub(super) fn atom(&mut self, atom: Atom) -> AtomId {
        if let Some(id) = self.atom_index.get(&atom) {
            return *id;
        }
        let id = self.atoms.len();
        self.atoms.push(atom.clone());
        self.atom_index.insert(atom, id);
        id
    }

    pub(super) fn domain(&mut self, shape: Shape, mut facts: Vec<Fact>) -> DomainId {
        facts.sort_unstable();
        facts.dedup();
        if let Some(id) = self.index.get(&(shape, facts.clone())) {
            return *id;
        }
        let id = self.known.len();
        self.index.insert((shape, facts.clone()), id);
        self.known.push(Domain { shape, facts, known: None });
        id
    }

    /// The part of a domain in which the fact holds.
    pub(super) fn narrow(&mut self, domain: DomainId, fact: Fact) -> DomainId {
        if let Some(narrow) = self.narrowed.get(&(domain, fact)) {
            return *narrow;
        }
        let Some((shape, mut facts)) = self.parts(domain) else { return domain };
        facts.push(fact);
        let narrow = self.domain(shape, facts);
        self.narrowed.insert((domain, fact), narrow);
        narrow
    }

    /// What lies in both.
    pub(super) fn meet(&mut self, one: DomainId, other: DomainId) -> DomainId {
        let (Some((shape, mut facts)), Some((second, more))) = (self.parts(one), self.parts(other)) else { return one };
        facts.extend(more);
        self.domain(Shape { ty: shape.ty, longest: shape.longest.min(second.longest) }, facts)
    }

    fn parts(&self, domain: DomainId) -> Option<(Shape, Vec<Fact>)> {
        self.known.get(domain).map(|domain| (domain.shape, domain.facts.clone()))
    }

    pub(super) fn is_empty(&mut self, domain: DomainId) -> Result<bool, TooLarge> {
        self.known(domain).map(|known| !known.absent && known.value.is_none())
    }

    /// What the domain holds; found out once.
    pub(super) fn known(&mut self, id: DomainId) -> Result<&Known, TooLarge> {
        if self.known.get(id).is_none_or(|domain| domain.known.is_none()) {
            let absent = self.known.get(id).is_some_and(|domain| domain.facts.iter().all(|(_, holds)| !holds));
            let value = self.value(id)?;
            if let Some(domain) = self.known.get_mut(id) {
                domain.known = Some(Known { absent, value });
            }
        }
        self.known.get(id).and_then(|domain| domain.known.as_ref()).ok_or(TooLarge)
    }

    fn value(&mut self, id: DomainId) -> Result<Option<Json>, TooLarge> {
        let Some((shape, facts)) = self.parts(id) else { return Ok(None) };
        let atoms: Vec<(Atom, bool)> =
            facts.iter().filter_map(|(atom, holds)| Some((self.atoms.get(*atom)?.clone(), *holds))).collect();
        if atoms.iter().any(|(atom, holds)| if *atom == Atom::Present { !holds } else { *holds && !fits(atom, shape.ty) }) {
            return Ok(None);
        }
        match shape.ty {
            Type::String => Ok(self.texts(id, 1, &[])?.into_iter().next().map(Json::String)),
            Type::Strings => self.list(shape, &facts),
            Type::Object => Ok(Some(Json::Object(crate::claims::Object::default()))),
            Type::Boolean => Ok([false, true].into_iter().map(Json::Bool).find(|value| all_hold(&atoms, value))),
            Type::Integer => {
                let named = atoms.iter().filter_map(|(atom, _)| if let Atom::Ints(ints) = atom { Some(ints) } else { None });
                let named: Vec<i64> = named.flatten().copied().collect();
                // One more than there are names: some small number bears none of them.
                let small = 1..=i64::try_from(named.len()).unwrap_or(i64::MAX).saturating_add(1);
                Ok(named.iter().copied().chain(small).map(Json::Int).find(|value| all_hold(&atoms, value)))
            }
        }
    }

    /// An element for each that must be there, and none that must not.
    fn list(&mut self, shape: Shape, facts: &[Fact]) -> Result<Option<Json>, TooLarge> {
        let (mut wanted, mut barred) = (Vec::new(), Vec::new());
        for (atom, holds) in facts {
            if let Some(Atom::Element(texts)) = self.atoms.get(*atom) {
                if *holds { wanted.push(texts.clone()) } else { barred.push(texts.clone()) }
            }
        }
        let barred: Vec<Fact> = barred.into_iter().map(|texts| (self.atom(Atom::Text(texts)), false)).collect();
        let mut items: Vec<Json> = Vec::new();
        for texts in wanted {
            let mut facts = barred.clone();
            facts.push((self.atom(Atom::Text(texts)), true));
            let element = self.domain(Shape { ty: Type::String, ..shape }, facts);
            let Some(text) = self.texts(element, 1, &[])?.into_iter().next() else { return Ok(None) };
            let item = Json::String(text);
            if !items.contains(&item) {
                items.push(item);
            }
        }
        Ok(Some(Json::Array(items)))
    }

    /// Up to `count` texts of the domain, those of `first` that lie in it before others; fewer only where there are no more.
    pub(super) fn texts(&mut self, id: DomainId, count: usize, first: &[String]) -> Result<Vec<String>, TooLarge> {
        let Some((shape, facts)) = self.parts(id) else { return Ok(Vec::new()) };
        let sets: Vec<(Texts, bool)> = facts
            .iter()
            .filter_map(|(atom, holds)| match self.atoms.get(*atom)? {
                Atom::Text(texts) => Some((texts.clone(), *holds)),
                _ => None,
            })
            .collect();
        let words = sets.iter().filter(|(_, holds)| *holds).find_map(|(texts, _)| texts.words());
        let likely = || sets.iter().filter(|(_, holds)| *holds).flat_map(|(texts, _)| texts.likely());
        let candidates: Vec<String> = first
            .iter()
            .cloned()
            .chain(words.map_or_else(|| likely().chain(std::iter::once("x".to_owned())).collect(), <[String]>::to_vec))
            .collect();
        let mut found: Vec<String> = Vec::new();
        for text in candidates {
            let fits = text.len() <= shape.longest
                && !text.chars().any(char::is_control)
                && sets.iter().all(|(texts, holds)| texts.has(&text) == *holds);
            if found.len() < count && fits && !found.contains(&text) {
                found.push(text);
            }
        }
        // Where the words can be told one by one, these were all.
        while found.len() < count && words.is_none() {
            match self.other(&facts, &found, shape.longest)? {
                Some(text) => found.push(text),
                None => break,
            }
        }
        Ok(found)
    }

    /// The shortest text that is none of `found`.
    fn other(&mut self, facts: &[Fact], found: &[String], longest: usize) -> Result<Option<String>, TooLarge> {
        let mut sets: Vec<(Rc<Automaton>, bool)> = vec![(self.plain()?, true)];
        if !found.is_empty() {
            sets.push((Rc::new(Automaton::of(&Texts::Words { words: found.to_vec(), fold: false })?), false));
        }
        for (atom, holds) in facts {
            if let Some(automaton) = self.automaton(*atom)? {
                sets.push((automaton, *holds));
            }
        }
        let sets: Vec<(&Automaton, bool)> = sets.iter().map(|(set, holds)| (set.as_ref(), *holds)).collect();
        shortest(&sets, longest)
    }

    fn plain(&mut self) -> Result<Rc<Automaton>, TooLarge> {
        if self.plain.is_none() {
            self.plain = Some(Rc::new(Automaton::plain()?));
        }
        self.plain.clone().ok_or(TooLarge)
    }

    fn automaton(&mut self, atom: AtomId) -> Result<Option<Rc<Automaton>>, TooLarge> {
        if let Some(automaton) = self.automata.get(&atom) {
            return Ok(Some(Rc::clone(automaton)));
        }
        let Some(Atom::Text(texts)) = self.atoms.get(atom) else { return Ok(None) };
        let automaton = Rc::new(Automaton::of(texts)?);
        self.automata.insert(atom, Rc::clone(&automaton));
        Ok(Some(automaton))
    }

    /// Whether a fact is true of a value, or of a claim that is missing.
    pub(super) fn is_true(&self, fact: Fact, value: Option<&Json>) -> bool {
        self.atoms.get(fact.0).is_some_and(|atom| value.is_some_and(|value| holds(atom, value)) == fact.1)
    }

    /// Whether a value, or that the claim is missing, lies in the domain.
    pub(super) fn has(&self, id: DomainId, value: Option<&Json>) -> bool {
        self.known.get(id).is_some_and(|domain| domain.facts.iter().all(|fact| self.is_true(*fact, value)))
    }
}

/// Whether values of the type can satisfy the atom at all.
const fn fits(atom: &Atom, ty: Type) -> bool {
    match atom {
        Atom::Present => true,
        Atom::Text(_) => matches!(ty, Type::String),
        Atom::Element(_) => matches!(ty, Type::Strings),
        Atom::Ints(_) => matches!(ty, Type::Integer),
        Atom::Bools(_) => matches!(ty, Type::Boolean),
    }
}

fn all_hold(atoms: &[(Atom, bool)], value: &Json) -> bool {
    atoms.iter().all(|(atom, wanted)| holds(atom, value) == *wanted)
}

fn holds(atom: &Atom, value: &Json) -> bool {
    match (atom, value) {
        (_, Json::Null) => false,
        (Atom::Present, _) => true,
        (Atom::Text(texts), Json::String(text)) => texts.has(text),
        (Atom::Element(texts), Json::Array(items)) => items.iter().filter_map(Json::as_str).any(|text| texts.has(text)),
        (Atom::Ints(ints), Json::Int(number)) => ints.contains(number),
        (Atom::Bools(bools), Json::Bool(value)) => bools.contains(value),
        _ => false,
    }
}

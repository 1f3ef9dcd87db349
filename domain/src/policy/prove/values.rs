//! One value of which all facts hold, if there is one.

use std::collections::HashMap;
use std::rc::Rc;

use super::budget::Budget;
use super::domains::{Atom, Domains, Fact, Shape};
use super::language::{Automaton, Texts, TooLarge, shortest};
use crate::claims::{Json, Object};
use crate::issuers::issuer::Type;

/// The sets of texts that had to be compiled, and those that cannot be.
#[derive(Debug, Default)]
pub(super) struct Automata {
    of: HashMap<Texts, Result<Rc<Automaton>, TooLarge>>,
    /// Every text that a token can hold.
    plain: Option<Result<Rc<Automaton>, TooLarge>>,
}

impl Automata {
    fn of(&mut self, texts: &Texts, budget: &mut Budget) -> Result<Rc<Automaton>, TooLarge> {
        if let Some(known) = self.of.get(texts) {
            return known.clone();
        }
        let compiled = kept(Automaton::of(texts), budget);
        self.of.insert(texts.clone(), compiled.clone());
        compiled
    }

    fn plain(&mut self, budget: &mut Budget) -> Result<Rc<Automaton>, TooLarge> {
        self.plain.get_or_insert_with(|| kept(Automaton::plain(), budget)).clone()
    }
}

fn kept(compiled: Result<Automaton, TooLarge>, budget: &mut Budget) -> Result<Rc<Automaton>, TooLarge> {
    let bytes = compiled.as_ref().map_or(Automaton::MOST_BYTES, Automaton::bytes);
    budget.spend(bytes.saturating_mul(8))?;
    let compiled = compiled?;
    budget.keep(bytes)?;
    Ok(Rc::new(compiled))
}

impl Domains {
    pub(super) fn value(&mut self, shape: Shape, facts: &[Fact]) -> Result<Option<Json>, TooLarge> {
        let atoms = self.atoms(facts);
        if atoms.iter().any(|(atom, holds)| if **atom == Atom::Present { !holds } else { *holds && !atom.fits(shape.ty) }) {
            return Ok(None);
        }
        let fits = |value: &Json| atoms.iter().all(|(atom, wanted)| atom.holds(value) == *wanted);
        match shape.ty {
            Type::String => Ok(self.some_texts(shape, facts, 1, &[])?.into_iter().next().map(Json::String)),
            Type::Strings => self.list(shape, &atoms),
            Type::Object => Ok(Some(Json::Object(Object::default()))),
            Type::Boolean => Ok([false, true].into_iter().map(Json::Bool).find(fits)),
            Type::Integer => {
                let named = atoms.iter().filter_map(|(atom, _)| if let Atom::Ints(ints) = &**atom { Some(ints) } else { None });
                let named: Vec<i64> = named.flatten().copied().collect();
                self.budget.spend(named.len().saturating_mul(atoms.len()))?;
                // One more than there are names: some small number bears none of them.
                let small = 1..=i64::try_from(named.len()).unwrap_or(i64::MAX).saturating_add(1);
                Ok(named.iter().copied().chain(small).map(Json::Int).find(fits))
            }
        }
    }

    /// An element for each that must be there, and none that must not.
    fn list(&mut self, shape: Shape, atoms: &[(Rc<Atom>, bool)]) -> Result<Option<Json>, TooLarge> {
        let (mut wanted, mut barred) = (Vec::new(), Vec::new());
        for (atom, holds) in atoms {
            if let Atom::Element(texts) = &**atom {
                if *holds { wanted.push(texts.clone()) } else { barred.push(texts.clone()) }
            }
        }
        let barred: Vec<Fact> = barred.into_iter().map(|texts| (self.atom(Atom::Text(texts)), false)).collect();
        let mut items: Vec<Json> = Vec::new();
        for texts in wanted {
            let mut facts = barred.clone();
            facts.push((self.atom(Atom::Text(texts)), true));
            let shape = Shape { ty: Type::String, ..shape };
            let Some(text) = self.some_texts(shape, &facts, 1, &[])?.into_iter().next() else { return Ok(None) };
            let item = Json::String(text);
            if !items.contains(&item) {
                items.push(item);
            }
        }
        Ok(Some(Json::Array(items)))
    }

    /// Up to `count` texts of which the facts hold, as [`Domains::texts`] promises.
    pub(super) fn some_texts(
        &mut self,
        shape: Shape,
        facts: &[Fact],
        count: usize,
        first: &[String],
    ) -> Result<Vec<String>, TooLarge> {
        let atoms = self.atoms(facts);
        let sets: Vec<(&Texts, bool)> = atoms
            .iter()
            .filter_map(|(atom, holds)| match &**atom {
                Atom::Text(texts) => Some((texts, *holds)),
                Atom::Beyond(texts) => Some((texts, !holds)),
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
            if found.len() >= count {
                break;
            }
            self.budget.spend(200 + sets.iter().map(|(texts, _)| texts.effort()).sum::<usize>())?;
            let fits = text.len() <= shape.longest
                && !text.chars().any(char::is_control)
                && sets.iter().all(|(texts, holds)| texts.has(&text) == *holds);
            if fits && !found.contains(&text) {
                found.push(text);
            }
        }
        // Where no set tells upper from lower case, one spelling of a word stands for all of them.
        let blind = || {
            sets.iter().all(|(texts, _)| texts.is_blind_to_case()) && sets.iter().any(|(texts, holds)| *holds && texts.is_words())
        };
        // Where the words can be told one by one, these were all.
        while found.len() < count && words.is_none() && !(count == 1 && blind()) {
            match self.another(&sets, &found, shape.longest)? {
                Some(text) => found.push(text),
                None => break,
            }
        }
        Ok(found)
    }

    /// The shortest text that is none of `found`.
    fn another(&mut self, sets: &[(&Texts, bool)], found: &[String], longest: usize) -> Result<Option<String>, TooLarge> {
        let mut automata: Vec<(Rc<Automaton>, bool)> = vec![(self.automata.plain(&mut self.budget)?, true)];
        if !found.is_empty() {
            automata.push((Rc::new(Automaton::of(&Texts::Words { words: found.to_vec(), fold: false })?), false));
        }
        for (texts, holds) in sets {
            automata.push((self.automata.of(texts, &mut self.budget)?, *holds));
        }
        let automata: Vec<(&Automaton, bool)> = automata.iter().map(|(set, holds)| (set.as_ref(), *holds)).collect();
        shortest(&automata, longest, &mut self.budget)
    }
}

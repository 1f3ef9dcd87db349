//! What conditions, vetoes and relations say of one claim, as facts.

use super::domains::Atom;
use super::language::Texts;
use super::solver::Lit;
use crate::issuers::issuer::Type;
use crate::issuers::rule::Is;
use crate::policy::pattern::{Condition, Pattern, Value};

/// What a test of one claim says of it.
pub(super) fn facts(is: Is) -> Vec<(Atom, bool)> {
    let words = |words: &[&str]| {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.sort();
        Atom::Text(Texts::Words { words, fold: false })
    };
    let begins = |head: &str, more| Atom::Text(Texts::Begins { head: head.to_owned(), more });
    match is {
        Is::OneOf(list) => vec![(words(list), true)],
        Is::NoneOf(list) => vec![(Atom::Text(Texts::Any), true), (words(list), false)],
        Is::Begins(head) => vec![(begins(head, true), true)],
        Is::BeginsNot(head) => vec![(Atom::Text(Texts::Any), true), (begins(head, false), false)],
        Is::Digits => vec![(Atom::Text(Texts::Digits), true)],
        Is::Present => vec![(Atom::Present, true)],
        Is::Absent => vec![(Atom::Present, false)],
        Is::Flag(wanted) => vec![(Atom::Bools(vec![wanted]), true)],
        Is::SameAs(_) => Vec::new(),
    }
}

/// The same of a token that may lack the claim: what is said in the negative is true of a claim that is missing.
pub(super) fn heeded(fact: (Atom, bool)) -> Option<(Atom, bool)> {
    match fact {
        (Atom::Present | Atom::Text(Texts::Any), true) => None,
        (Atom::Text(texts), true) => Some((Atom::Beyond(texts), false)),
        (Atom::Bools(bools), true) => Some((Atom::Bools(bools.iter().map(|value| !value).collect()), false)),
        fact => Some(fact),
    }
}

/// What a fact becomes when it does not hold: one of these.
pub(super) fn negated(fact: Lit, any: usize) -> Vec<Lit> {
    match fact {
        Lit::Is { var, atom, holds } => vec![Lit::Is { var, atom, holds: !holds }],
        Lit::Same(a, b) | Lit::Differ(a, b) => {
            let no_text = |var| Lit::Is { var, atom: any, holds: false };
            let other = if matches!(fact, Lit::Same(..)) { Lit::Differ(a, b) } else { Lit::Same(a, b) };
            vec![no_text(a), no_text(b), other]
        }
    }
}

/// The same as [`Condition::holds`] says of one value.
pub(super) fn atom(condition: &Condition) -> (Atom, bool) {
    let texts = |texts: Texts| if condition.ty == Type::Strings { Atom::Element(texts) } else { Atom::Text(texts) };
    match &condition.pattern {
        Pattern::Present => (Atom::Present, true),
        Pattern::Absent => (Atom::Present, false),
        Pattern::Glob(glob) => (texts(Texts::Glob { glob: glob.clone(), fold: condition.fold }), true),
        Pattern::OneOf(values) => match condition.ty {
            Type::Integer => (
                Atom::Ints(
                    values.iter().filter_map(|value| if let Value::Int(int) = value { Some(*int) } else { None }).collect(),
                ),
                true,
            ),
            Type::Boolean => (
                Atom::Bools(
                    values.iter().filter_map(|value| if let Value::Bool(bool) = value { Some(*bool) } else { None }).collect(),
                ),
                true,
            ),
            Type::String | Type::Strings | Type::Object => {
                let words =
                    values.iter().filter_map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None });
                (texts(Texts::Words { words: words.collect(), fold: condition.fold }), true)
            }
        },
    }
}

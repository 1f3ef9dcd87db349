//! Proofs held against the code that decides.

use super::*;
use crate::claims::{Claims, Json};
use crate::issuers::rule::{Is, Relation, Test};
use crate::policy::tests::{ISSUERS, lines, one, with_row};
use crate::policy::{Condition, Issuer, Pattern, PolicySet, Row, Value};

mod agreement;
mod budget;
mod diffs;
mod invariants;
mod languages;
mod owners;
mod random;
mod unnamed;

fn loaded(text: &str) -> PolicySet {
    PolicySet::load(one(text)).unwrap_or_else(|problems| panic!("{}\n{text}", lines(&problems)))
}

/// Whether the verifier believes a token of the right types and the issuer can have made it: what is required is there, and
/// what is there goes together. Written once more, so that the prover is not asked about itself.
fn believed(issuer: &Issuer, claims: &Claims) -> bool {
    let kind = &issuer.kind;
    let there = |name: &str| claims.get(name).is_some();
    let needed = kind.required().iter().map(|name| &**name).chain(kind.replay_claim()).chain(["sub"]);
    let texts = ["sub"].into_iter().chain(kind.replay_claim());
    let together = |relation: &Relation| {
        let silent = |test: &Test| !there(test.claim) || matches!(test.is, Is::SameAs(other) if !there(other));
        let breach = relation.then.iter().any(|test| !silent(test) && !test.holds(claims));
        !(breach && relation.when.iter().all(|test| test.holds(claims)))
    };
    needed.into_iter().all(there)
        && texts.into_iter().all(|name| claims.text(name).is_some_and(|text| !text.is_empty()))
        && kind.relations().iter().all(together)
}

/// A token that is believed, of words that sets are made of. It may lack whatever is not required, as the sample's own claims,
/// and most are made to fit one of the rows.
fn token(issuer: &Issuer, rows: &[&Row], dice: &mut random::Dice) -> Claims {
    for _ in 0..40 {
        let mut claims = tokens::sample(issuer);
        for (name, form, _, words) in random::pool(&issuer.name).iter().copied() {
            let required = issuer.kind.required().iter().any(|required| required == name);
            match dice.below(10) {
                0 | 1 if !required => drop(claims.take(name)),
                0..4 => claims.put(name, value(form, words, dice)),
                _ => {}
            }
        }
        if !rows.is_empty() && dice.chance(80) {
            let row = dice.of(rows);
            row.conditions.iter().for_each(|condition| fit(condition, issuer, &mut claims, dice));
        }
        if believed(issuer, &claims) {
            return claims;
        }
    }
    tokens::sample(issuer)
}

fn value(form: random::Form, words: &[&'static str], dice: &mut random::Dice) -> Json {
    match form {
        random::Form::Text => Json::from(dice.of(words)),
        random::Form::Int => Json::Int(dice.of(words).parse().unwrap()),
        random::Form::Bool => Json::Bool(dice.chance(50)),
        random::Form::List => Json::Array(words.iter().filter(|_| dice.chance(40)).map(|word| Json::from(*word)).collect()),
        random::Form::Object => Json::Object(crate::claims::Object::default()),
    }
}

/// Makes the condition hold.
fn fit(condition: &Condition, issuer: &Issuer, claims: &mut Claims, dice: &mut random::Dice) {
    let (name, form, words) = random::pool(&issuer.name)
        .iter()
        .find(|(name, ..)| *name == condition.claim)
        .map(|(name, form, _, words)| (*name, *form, *words))
        .unwrap();
    let one = |text: &str| if form == random::Form::List { Json::Array(vec![Json::from(text)]) } else { Json::from(text) };
    let fitting = match &condition.pattern {
        Pattern::Absent => return drop(claims.take(name)),
        Pattern::Present if claims.get(name).is_some() => return,
        Pattern::Present => value(form, words, dice),
        Pattern::Glob(glob) => one(&glob.as_str().replace("**", "x/y").replace('*', "x")),
        Pattern::OneOf(values) => match &values[dice.below(values.len())] {
            Value::Text(text) => one(text),
            Value::Int(number) => Json::Int(*number),
            Value::Bool(value) => Json::Bool(*value),
        },
    };
    claims.put(name, fitting);
}

//! Proofs held against the code that decides.

use super::*;
use crate::claims::{Claims, Json};
use crate::policy::tests::{ISSUERS, lines, one, with_row};
use crate::policy::{Issuer, PolicySet};

mod agreement;
mod diffs;
mod invariants;
mod languages;
mod random;
mod unnamed;

fn loaded(text: &str) -> PolicySet {
    PolicySet::load(one(text)).unwrap_or_else(|problems| panic!("{}\n{text}", lines(&problems)))
}

/// A token that the issuer can make, of words that sets are made of.
fn token(issuer: &Issuer, dice: &mut random::Dice) -> Claims {
    for _ in 0..20 {
        let mut claims = tokens::sample(issuer);
        for _ in 0..dice.below(6) {
            let (name, form, optional, words) = dice.of(random::pool(&issuer.name));
            let value = match form {
                random::Form::Text => Json::from(dice.of(words)),
                random::Form::Int => Json::Int(dice.of(words).parse().unwrap()),
                random::Form::Bool => Json::Bool(dice.chance(50)),
                random::Form::List => {
                    Json::Array(words.iter().filter(|_| dice.chance(40)).map(|word| Json::from(*word)).collect())
                }
                random::Form::Object => Json::Object(crate::claims::Object::default()),
            };
            if optional && dice.chance(30) { drop(claims.take(name)) } else { claims.put(name, value) }
        }
        if witness::possible(issuer, &claims) {
            return claims;
        }
    }
    tokens::sample(issuer)
}

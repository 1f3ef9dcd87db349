//! What real tokens obey and what stands against some of them, as data: tested on one token, solved over all tokens.
//!
//! As in a policy, every test but `Absent` is false on a claim that is missing.

use crate::claims::{Claims, Json};

/// What is asked of one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// A name, or a JSON pointer, of a text (of a boolean for `Flag`).
    pub claim: &'static str,
    pub is: Is,
}

/// What a text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    OneOf(&'static [&'static str]),
    /// There, and none of these.
    NoneOf(&'static [&'static str]),
    /// This and at least one more character.
    Begins(&'static str),
    /// There, and without this at its beginning.
    BeginsNot(&'static str),
    /// One to twenty decimal digits.
    Digits,
    Present,
    Absent,
    /// The same text as another claim, which is there.
    SameAs(&'static str),
    /// A boolean, there and this.
    Flag(bool),
}

/// All tests of one of these hold.
pub type AnyOf = &'static [&'static [Test]];

/// What holds among the claims of every real token of an issuer: where all of `when` hold, all of `then` do, but for those that
/// compare a claim that the token lacks. Whether a claim is there is only for the verifier to see to, so none of them asks that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    pub when: &'static [Test],
    pub then: &'static [Test],
    /// Where it is written, or how it is known.
    pub source: &'static str,
}

impl Test {
    pub const fn new(claim: &'static str, is: Is) -> Self {
        Self { claim, is }
    }

    /// Whether the claims pass it.
    pub fn holds(&self, claims: &Claims) -> bool {
        let value = claims.get(self.claim).filter(|value| **value != Json::Null);
        let (text, is) = match (value, self.is) {
            (value, Is::Absent) => return value.is_none(),
            (value, Is::Present) => return value.is_some(),
            (value, Is::Flag(wanted)) => return value == Some(&Json::Bool(wanted)),
            (value, is) => match value.and_then(Json::as_str) {
                Some(text) => (text, is),
                None => return false,
            },
        };
        match is {
            Is::OneOf(words) => words.contains(&text),
            Is::NoneOf(words) => !words.contains(&text),
            Is::Begins(head) => text.len() > head.len() && text.starts_with(head),
            Is::BeginsNot(head) => !text.starts_with(head),
            Is::Digits => (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
            Is::SameAs(other) => claims.text(other) == Some(text),
            Is::Present => true,
            Is::Absent | Is::Flag(_) => false,
        }
    }

    /// Whether a claim that it compares is missing.
    fn lacks(&self, claims: &Claims) -> bool {
        let other = if let Is::SameAs(other) = self.is { other } else { self.claim };
        [self.claim, other].iter().any(|name| claims.get(name).is_none_or(|value| *value == Json::Null))
    }
}

impl Relation {
    pub const fn new(when: &'static [Test], then: &'static [Test], source: &'static str) -> Self {
        Self { when, then, source }
    }

    /// Whether a token obeys it.
    pub fn holds(&self, claims: &Claims) -> bool {
        let then = |test: &Test| test.holds(claims) || test.lacks(claims);
        !self.when.iter().all(|test| test.holds(claims)) || self.then.iter().all(then)
    }
}

/// Whether one of the alternatives holds as a whole.
pub fn any_holds(alternatives: AnyOf, claims: &Claims) -> bool {
    alternatives.iter().any(|tests| tests.iter().all(|test| test.holds(claims)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Object;

    #[test]
    fn a_relation_says_nothing_of_a_claim_that_is_missing() {
        const WHEN: &[Test] = &[Test::new("ref", Is::Begins("refs/tags/"))];
        let token = Claims::from_verified(Object::default());
        let tag = token.clone().with("ref", "refs/tags/v1");
        for (is, good) in [(Is::OneOf(&["tag"]), "tag"), (Is::NoneOf(&["branch"]), "tag"), (Is::SameAs("other"), "tag")] {
            let then = Box::leak(Box::new([Test::new("ref_type", is)]));
            let relation = Relation::new(WHEN, then, "");
            let typed = |word: &str| tag.clone().with("ref_type", word).with("other", "tag");
            assert!(relation.holds(&token) && relation.holds(&tag), "{is:?}");
            assert!(relation.holds(&typed(good)) && !relation.holds(&typed("branch")), "{is:?}");
            assert_eq!(relation.holds(&typed("branch").without("other")), is == Is::SameAs("other"), "{is:?}");
        }
    }

    #[test]
    fn a_test_is_false_on_a_missing_claim_unless_it_asks_for_that() {
        let none = Claims::from_verified(Object::default());
        let some = none.clone().with("ref", "refs/pull/7/merge").with("id", "42").with("same", "42");
        let tests = [
            (Is::OneOf(&["refs/pull/7/merge"]), true),
            (Is::NoneOf(&["refs/pull/7/merge"]), false),
            (Is::NoneOf(&["main"]), true),
            (Is::Begins("refs/pull/"), true),
            (Is::Begins("refs/pull/7/merge"), false),
            (Is::BeginsNot("refs/pull/"), false),
            (Is::Digits, false),
            (Is::Present, true),
            (Is::SameAs("id"), false),
            (Is::SameAs("none"), false),
        ];
        for (is, expected) in tests {
            assert_eq!(Test::new("ref", is).holds(&some), expected, "{is:?}");
            assert!(!Test::new("ref", is).holds(&none), "{is:?}");
        }
        assert!(Test::new("id", Is::Digits).holds(&some) && Test::new("id", Is::SameAs("same")).holds(&some));
        assert!(Test::new("ref", Is::Absent).holds(&none) && !Test::new("ref", Is::Absent).holds(&some));
        let told = some.with("rerun", false).with("text", "false");
        let flag = |claim: &'static str, wanted| Test::new(claim, Is::Flag(wanted)).holds(&told);
        assert_eq!(
            [flag("rerun", false), flag("rerun", true), flag("text", false), flag("none", false)],
            [true, false, false, false]
        );
    }
}

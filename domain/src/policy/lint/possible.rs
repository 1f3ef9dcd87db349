//! What a row's conditions leave possible. Errs on the side of possible: what is said to be impossible is.

use crate::claims::{Claims, Json};
use crate::issuers::rule::{AnyOf, Is, Relation, Test};
use crate::policy::pattern::{Condition, Pattern, Value};

/// The conditions of a row, one of them perhaps narrowed to a single value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    conditions: &'a [Condition],
    only: Option<(&'a str, &'a Value)>,
}

impl<'a> Known<'a> {
    pub(super) const fn new(conditions: &'a [Condition]) -> Self {
        Self { conditions, only: None }
    }

    pub(super) const fn with(mut self, claim: &'a str, value: &'a Value) -> Self {
        self.only = Some((claim, value));
        self
    }

    /// Whether a token can obey the relation and satisfy the conditions.
    pub(super) fn allows(self, relation: &Relation) -> bool {
        !relation.when.iter().all(|test| self.must(test)) || relation.then.iter().all(|test| self.can(test) || self.lacks(test))
    }

    /// Whether a claim that the test compares must be missing.
    fn lacks(self, test: &Test) -> bool {
        let other = if let Is::SameAs(other) = test.is { other } else { test.claim };
        let absent = |claim| self.condition(claim).is_some_and(|it| it.pattern == Pattern::Absent);
        absent(test.claim) || absent(other)
    }

    /// Whether a token that satisfies the conditions can pass one of the alternatives.
    pub(super) fn can_pass(self, alternatives: AnyOf) -> bool {
        alternatives.iter().any(|tests| tests.iter().all(|test| self.can(test)))
    }

    /// Whether every token that satisfies the conditions passes one of the alternatives.
    pub(super) fn must_pass(self, alternatives: AnyOf) -> bool {
        alternatives.iter().any(|tests| tests.iter().all(|test| self.must(test)))
    }

    fn can(self, test: &Test) -> bool {
        let Some(condition) = self.condition(test.claim) else { return true };
        if let Some(values) = self.values(condition) {
            return match test.is {
                Is::Absent => false,
                Is::SameAs(other) => match self.condition(other).and_then(|other| self.values(other)) {
                    Some(others) => condition.fold || values.iter().any(|value| others.contains(value)),
                    None => true,
                },
                _ => condition.fold || values.iter().any(|value| passes(test, value)),
            };
        }
        match (&condition.pattern, test.is) {
            (Pattern::Absent, is) => is == Is::Absent,
            (_, Is::Absent) => false,
            (Pattern::Glob(glob), is) => match is {
                Is::OneOf(words) => words.iter().any(|word| glob.matches(word, condition.fold)),
                Is::Begins(head) => condition.fold || agree(stem(glob.as_str()), head),
                Is::BeginsNot(head) => condition.fold || !stem(glob.as_str()).starts_with(head),
                Is::Digits => glob.literal().bytes().all(|byte| byte.is_ascii_digit()),
                _ => true,
            },
            _ => true,
        }
    }

    fn must(self, test: &Test) -> bool {
        let Some(condition) = self.condition(test.claim) else { return false };
        if let Some(values) = self.values(condition) {
            return match test.is {
                Is::Absent => false,
                Is::Present => true,
                Is::SameAs(other) => {
                    let others = self.condition(other).and_then(|other| self.values(other));
                    values.len() == 1 && !condition.fold && others == Some(values)
                }
                _ => !condition.fold && values.iter().all(|value| passes(test, value)),
            };
        }
        match (&condition.pattern, test.is) {
            (Pattern::Absent, is) => is == Is::Absent,
            (_, Is::Present) => true,
            (Pattern::Glob(glob), Is::Begins(head)) => {
                !condition.fold && stem(glob.as_str()).starts_with(head) && glob.literal().len() > head.len()
            }
            (Pattern::Glob(glob), Is::BeginsNot(head)) => !condition.fold && !agree(stem(glob.as_str()), head),
            _ => false,
        }
    }

    fn condition(self, claim: &str) -> Option<&'a Condition> {
        self.conditions.iter().find(|condition| condition.claim == claim)
    }

    fn values(self, condition: &'a Condition) -> Option<&'a [Value]> {
        match self.only {
            Some((claim, value)) if claim == condition.claim => Some(std::slice::from_ref(value)),
            _ => condition.pattern.values(),
        }
    }
}

/// Whether a token with this value passes.
fn passes(test: &Test, value: &Value) -> bool {
    let value = match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Int(number) => Json::from(*number),
        Value::Bool(value) => Json::from(*value),
    };
    let mut token = Claims::default();
    token.put(test.claim, value);
    test.holds(&token)
}

/// What stands before the first star.
pub(super) fn stem(glob: &str) -> &str {
    glob.split('*').next().unwrap_or_default()
}

/// Whether one begins with the other.
fn agree(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// Whether every value that satisfies `narrow` satisfies `wide`, both conditions on the same claim. Errs on the side of no.
pub(super) fn covers(wide: &Condition, narrow: &Condition) -> bool {
    let text = |value: &Value, takes: &dyn Fn(&str) -> bool| matches!(value, Value::Text(text) if takes(text));
    match (&wide.pattern, &narrow.pattern) {
        (a, b) if a == b => true,
        (Pattern::Present, Pattern::OneOf(_) | Pattern::Glob(_)) => true,
        (Pattern::OneOf(values), Pattern::OneOf(narrow)) => narrow.iter().all(|value| {
            let folded = |other: &Value| text(other, &|other| text(value, &|text| text.eq_ignore_ascii_case(other)));
            values.contains(value) || (wide.fold && values.iter().any(folded))
        }),
        (Pattern::Glob(glob), Pattern::OneOf(values)) => {
            values.iter().all(|value| text(value, &|text| glob.matches(text, wide.fold)))
        }
        (Pattern::Glob(wide), Pattern::Glob(narrow)) => wide.covers(narrow),
        _ => false,
    }
}

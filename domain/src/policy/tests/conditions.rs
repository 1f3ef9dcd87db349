//! Operators against claims of every type.

use std::borrow::Cow;

use super::super::pattern::typed;
use super::*;
use crate::claims::{Json, Object};
use crate::issuers::issuer::{Case, Claim, Class, Presence, Type};

fn holds(ty: Type, case: Case, pattern: &Pattern, value: Option<Json>) -> bool {
    let mut schema = Claim::always("c", Class::Anyone).of(ty);
    (schema.name, schema.presence, schema.case) = (Cow::Borrowed("c"), Presence::Optional, case);
    let mut claims = Claims::default().with("other", "x");
    if let Some(value) = value {
        claims.put("c", value);
    }
    Condition::new("c".to_owned(), &schema, pattern.clone()).holds(&claims)
}

fn text(value: &str) -> Pattern {
    Pattern::OneOf(vec![Value::Text(value.to_owned())])
}

fn list(items: &[&str]) -> Json {
    Json::Array(items.iter().map(|item| Json::from(*item)).collect())
}

#[test]
fn absent_is_the_one_operator_that_holds_on_nothing() {
    let glob = Pattern::Glob(Glob::new("*").unwrap());
    for missing in [None, Some(Json::Null)] {
        for pattern in [text(""), text("null"), glob.clone(), Pattern::Present] {
            assert!(!holds(Type::String, Case::Exact, &pattern, missing.clone()), "{pattern} holds on {missing:?}");
        }
        assert!(holds(Type::String, Case::Exact, &Pattern::Absent, missing));
    }
    // What is there is not absent, be it empty or of the wrong type.
    for there in [
        Json::from(""),
        Json::from("x"),
        Json::from(0),
        Json::from(false),
        Json::Array(Vec::new()),
        Json::Object(Object::default()),
    ] {
        assert!(!holds(Type::String, Case::Exact, &Pattern::Absent, Some(there)));
    }
    assert!(holds(Type::String, Case::Exact, &Pattern::Present, Some("".into())));
    assert!(!holds(Type::String, Case::Exact, &Pattern::Present, Some(1.into())));
}

#[test]
fn values_of_different_types_are_never_equal() {
    let values = [Value::Text("1".into()), Value::Text("true".into()), Value::Int(1), Value::Bool(true)];
    let claims = [Json::from("1"), Json::from("true"), Json::from(1), Json::from(true)];
    for (i, value) in values.iter().enumerate() {
        for (j, claim) in claims.iter().enumerate() {
            for ty in [Type::String, Type::Integer, Type::Boolean] {
                let equal = holds(ty, Case::FoldAscii, &Pattern::OneOf(vec![value.clone()]), Some(claim.clone()));
                assert_eq!(equal, i == j && typed(ty, claim), "{value} against {claim:?} as {ty:?}");
            }
        }
    }
    assert!(!holds(Type::Integer, Case::Exact, &Pattern::OneOf(vec![Value::Int(1)]), Some(Json::Number(1.0))));
}

#[test]
fn a_list_satisfies_what_one_element_does() {
    let glob = Pattern::Glob(Glob::new("acme/*").unwrap());
    assert!(holds(Type::Strings, Case::Exact, &glob, Some(list(&["x", "acme/ops"]))));
    assert!(!holds(Type::Strings, Case::Exact, &glob, Some(list(&["x", "acme/ops/y"]))));
    assert!(!holds(Type::Strings, Case::Exact, &text("x"), Some(list(&[]))));
    assert!(!holds(Type::Strings, Case::Exact, &text("x"), Some("x".into())), "a string is no list");
    assert!(!holds(Type::String, Case::Exact, &text("x"), Some(list(&["x"]))), "a list is no string");
    let mixed = Json::Array(vec!["x".into(), 1.into()]);
    assert!(!holds(Type::Strings, Case::Exact, &text("x"), Some(mixed)), "a list with a number is no list of strings");
}

#[test]
fn only_ascii_letters_fold() {
    assert!(holds(Type::String, Case::FoldAscii, &text("Acme"), Some("aCME".into())));
    assert!(!holds(Type::String, Case::Exact, &text("Acme"), Some("acme".into())));
    for (wanted, value) in [("k", "\u{212a}"), ("ss", "ß"), ("É", "é"), ("i", "İ"), ("e\u{301}", "é")] {
        assert!(!holds(Type::String, Case::FoldAscii, &text(wanted), Some(value.into())), "{wanted} against {value}");
    }
}

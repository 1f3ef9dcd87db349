//! Conditions and the claims they speak of.

use toml::de::{DeTable, DeValue};

use crate::issuers::issuer::{Claim, Kind, Presence, REGISTERED, Type};
use crate::policy::glob::Glob;
use crate::policy::pattern::{Condition, Pattern, Value};
use crate::policy::read::{Node, Reader, integer};

/// Every key of `table` but `reserved`, as a condition on a claim of `kind`.
pub(super) fn read(reader: &Reader<'_>, table: &DeTable<'_>, kind: &dyn Kind, reserved: &[&str]) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (key, node) in table.iter().filter(|(key, _)| !reserved.contains(&&**key.get_ref())) {
        let name = key.get_ref().to_string();
        let Some(claim) = known(reader, &key.span(), &name, kind, reserved) else { continue };
        if let Some(pattern) = pattern(reader, node, &name, Some(claim)) {
            conditions.push(Condition::new(name, claim, pattern));
        }
    }
    conditions.sort_by(|a, b| a.claim.cmp(&b.claim));
    conditions
}

/// The schema of a claim, or a problem with the nearest name.
pub(super) fn known<'k>(
    reader: &Reader<'_>,
    span: &std::ops::Range<usize>,
    name: &str,
    kind: &'k dyn Kind,
    reserved: &[&str],
) -> Option<&'k Claim> {
    let claim = kind.claim(name);
    if claim.is_none() {
        let shown = name.escape_debug();
        let problem = if REGISTERED.iter().any(|(registered, _)| *registered == name) {
            let message = format!("`{shown}` is no condition: the verifier settles it for every token");
            reader.problem(span, "registered-claim", message)
        } else {
            let message = format!("unknown claim `{shown}`; tokens of kind `{}` do not carry it", kind.name());
            let names = kind.claims().iter().map(|claim| &*claim.name).chain(reserved.iter().copied());
            reader.problem(span, "unknown-claim", message).nearest(name, names)
        };
        reader.report(problem);
    }
    claim
}

/// A value, a list or an operator. Without a claim it speaks of a name, which is a text.
pub(super) fn pattern(reader: &Reader<'_>, node: &Node<'_>, name: &str, claim: Option<&Claim>) -> Option<Pattern> {
    let ty = claim.map_or(Type::String, |claim| claim.ty);
    match node.get_ref() {
        DeValue::Array(items) => {
            let values: Vec<Option<Value>> = items.iter().map(|item| value(reader, item, name, ty)).collect();
            let mut values: Vec<Value> = values.into_iter().collect::<Option<_>>()?;
            if values.is_empty() {
                reader.report(reader.problem(
                    &node.span(),
                    "empty-list",
                    format!("`{name}` is an empty list, which nothing satisfies"),
                ));
                return None;
            }
            values.sort();
            values.dedup();
            Some(Pattern::OneOf(values))
        }
        DeValue::Table(table) => operator(reader, node, table, name, claim),
        _ => Some(Pattern::OneOf(vec![value(reader, node, name, ty)?])),
    }
}

fn operator(reader: &Reader<'_>, node: &Node<'_>, table: &DeTable<'_>, name: &str, claim: Option<&Claim>) -> Option<Pattern> {
    let operators: &[&str] = if claim.is_some() { &["glob", "present", "absent"] } else { &["glob"] };
    reader.only(table, &format!("the condition on `{name}`"), operators);
    if table.len() != 1 {
        let message = format!("the condition on `{name}` must have exactly one operator: {}", operators.join(", "));
        reader.report(reader.problem(&node.span(), "operator", message));
        return None;
    }
    if let Some(text) = reader.text(table, "glob") {
        if claim.is_some_and(|claim| !matches!(claim.ty, Type::String | Type::Strings)) {
            reader.report(reader.problem(&node.span(), "operator", format!("`{name}` is no text, so no glob can fit it")));
            return None;
        }
        return match Glob::new(text.get_ref()) {
            Ok(glob) => Some(Pattern::Glob(glob)),
            Err(reason) => {
                reader.report(reader.problem(&text.span(), "glob", format!("`{name}`: {reason}")));
                None
            }
        };
    }
    for (key, pattern) in [("present", Pattern::Present), ("absent", Pattern::Absent)] {
        let Some(value) = reader.flag(table, key) else { continue };
        if !value {
            let other = if key == "present" { "absent" } else { "present" };
            let message = format!("`{key} = false` is no condition; write {{ {other} = true }} if that is meant");
            reader.report(reader.problem(&node.span(), "operator", message));
            return None;
        }
        if pattern == Pattern::Absent && claim.is_some_and(|claim| claim.presence == Presence::Always) {
            let message = format!("`{name}` is in every token, so it can never be absent");
            reader.report(reader.problem(&node.span(), "absent", message));
            return None;
        }
        return Some(pattern);
    }
    None
}

fn value(reader: &Reader<'_>, node: &Node<'_>, name: &str, ty: Type) -> Option<Value> {
    let value = match (ty, node.get_ref()) {
        (Type::String | Type::Strings, DeValue::String(text)) => Some(Value::Text(text.clone().into_owned())),
        (Type::Integer, number) => integer(number).map(Value::Int),
        (Type::Boolean, DeValue::Boolean(value)) => Some(Value::Bool(*value)),
        _ => None,
    };
    if value.is_none() {
        let expected = match (ty, node.get_ref()) {
            (Type::String, DeValue::Boolean(value)) => format!("the string \"{value}\", since the token carries a string"),
            (Type::String, DeValue::Integer(number)) => format!("the string \"{number}\", since the token carries a string"),
            (Type::String | Type::Strings, _) => "a string".to_owned(),
            (Type::Integer, _) => "a whole number, since the token carries a number".to_owned(),
            (Type::Boolean, _) => "true or false, since the token carries a boolean".to_owned(),
            (Type::Object, _) => "{ present = true } or a condition on a JSON pointer into it".to_owned(),
        };
        reader.wrong_type(node, name, &expected);
    }
    value
}

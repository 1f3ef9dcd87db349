//! The few shapes that the schema is put together from.

use serde_json::{Map, Value, json};

/// A table with these keys and no others.
pub(super) fn object(keys: &[&str], required: &[&str], schema: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), schema(key))).collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        put(&mut object, "required", json!(required));
    }
    object
}

/// `[family.NAME]`.
pub(super) fn named(table: &Value) -> Value {
    json!({"type": "object", "propertyNames": refer("name"), "additionalProperties": table})
}

/// `[[family]]`.
pub(super) fn list(table: &Value) -> Value {
    json!({"type": "array", "items": table})
}

pub(super) fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn https() -> Value {
    json!({"type": "string", "pattern": "^https://"})
}

pub(super) fn refer(definition: &str) -> Value {
    json!({"$ref": format!("#/definitions/{definition}")})
}

/// The schema with a description. Beside a reference draft 7 reads nothing, so a reference goes one deeper.
pub(super) fn told(schema: &Value, description: &str) -> Value {
    let mut told = if schema.get("$ref").is_some() { json!({"allOf": [schema]}) } else { schema.clone() };
    put(&mut told, "description", json!(description));
    told
}

pub(super) fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

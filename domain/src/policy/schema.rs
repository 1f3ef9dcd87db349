//! The JSON schema of a policy file, for editors: completion, words that do not exist, values of the wrong shape.
//!
//! It is made from the lists that the loader reads with, so it cannot know other words than the loader does. It sees one
//! file at a time: which claims the issuer of a row has, only the loader can tell, so a row may name any claim of any
//! kind, and others, since a generic issuer has claims of its own. Draft 7, which editors for TOML understand.

mod parts;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::lint::LINTS;
use super::load::{TABLES, cases, issuers, owners, roles};
use super::set::Algorithm;
use crate::credentials::engine::{Engine, Field, Shape};
use crate::credentials::{ENGINES, kv, operator};
use crate::issuers::issuer::{Class, Kind, REGISTERED, Type};
use crate::issuers::{built_in, generic, kinds};
use crate::refusal::Code;
use parts::{https, list, named, object, put, refer, text, told, words};

/// Where the schema lies, from the folder of the checkout.
pub const PATH: &str = "policies/schema/policy.json";

/// The schema.
pub fn schema() -> Value {
    let mut schema = object(TABLES, &[], |table| match table {
        "issuer" => named(&issuer()),
        "role" => named(&role()),
        "invariant" => list(&invariant()),
        "owner" => list(&owner()),
        "case" => list(&case()),
        _ => json!(true),
    });
    for (key, value) in [
        ("$schema", json!("http://json-schema.org/draft-07/schema#")),
        ("title", json!("A file of a Daypass policy set")),
        ("description", json!("Generated from the lists of the loader: ./dev generate")),
        ("definitions", definitions()),
    ] {
        put(&mut schema, key, value);
    }
    schema
}

fn definitions() -> Value {
    let operators =
        |operators: &[&str]| object(operators, &[], |operator| if operator == "glob" { text() } else { json!({"const": true}) });
    let one = |mut operators: Value| {
        put(&mut operators, "minProperties", json!(1));
        put(&mut operators, "maxProperties", json!(1));
        operators
    };
    let condition = |value: Value, names: &[&str]| {
        let several = json!({"type": "array", "items": value, "minItems": 1});
        json!({"anyOf": [value, several, one(operators(names))]})
    };
    let all = &["glob", "present", "absent"];
    json!({
        "duration": {"type": "string", "pattern": r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "description": "such as 90s, 15m, 1h30m or 2d"},
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
        "texts": {"anyOf": [text(), {"type": "array", "items": text()}]},
        "name-pattern": condition(text(), &["glob"]),
        "condition": condition(json!({"type": ["string", "integer", "boolean"]}), all),
        "condition-string": condition(text(), all),
        "condition-integer": condition(json!({"type": "integer"}), &["present", "absent"]),
        "condition-boolean": condition(json!({"type": "boolean"}), &["present", "absent"]),
        "condition-object": one(operators(&["present", "absent"])),
        "bound": conditions(&["role"], &[], |_| refer("name-pattern")),
    })
}

fn issuer() -> Value {
    let keys: Vec<&str> = issuers::KEYS.iter().chain(issuers::GENERIC_KEYS).copied().collect();
    let mut issuer = object(&keys, &["kind", "url", "audience"], |key| match key {
        "kind" => told(&words(kinds()), "Whose tokens these are: what claims they carry, and who controls them."),
        "url" => told(&https(), "Byte for byte the iss of the tokens."),
        "audience" => {
            told(&json!({"type": "string", "minLength": 1, "maxLength": 512}), "This broker's own; the one aud that is accepted.")
        }
        "discovery" | "jwks_url" => https(),
        "jwks_file" | "ca_file" | "replay_claim" => text(),
        "person" => {
            told(&text(), "The claim that tells one person or workload from another; without one nobody approves sets by it.")
        }
        "algorithms" => {
            let algorithms: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            json!({"anyOf": [words(&algorithms), {"type": "array", "items": words(&algorithms), "minItems": 1}]})
        }
        "max_token_age" | "max_token_lifetime" => refer("duration"),
        "allow_private_network" => json!({"type": "boolean"}),
        "enabled" => told(&json!({"type": "boolean"}), "false switches the issuer and all that it vouched for off."),
        "required" => refer("texts"),
        "accept" => accepted(),
        "claims" => json!({"type": "object", "additionalProperties": claim_of_schema()}),
        "job" => object(generic::JOB_KEYS, &[], |_| text()),
        _ => json!(true),
    });
    // Only a generic issuer describes its claims in the policy.
    let own: Map<String, Value> = issuers::GENERIC_KEYS.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    put(&mut issuer, "if", json!({"properties": {"kind": {"not": {"const": generic::NAME}}}}));
    put(&mut issuer, "then", json!({"properties": own}));
    issuer
}

fn claim_of_schema() -> Value {
    fn of<T>(pairs: &[(&str, T)]) -> Value {
        words(&pairs.iter().map(|(word, _)| *word).collect::<Vec<_>>())
    }
    object(issuers::CLAIM_KEYS, &[], |key| match key {
        "type" => of(generic::TYPES),
        "presence" => of(generic::PRESENCES),
        "case" => of(generic::CASES),
        "class" => told(&of(generic::CLASSES), "Who decides what stands in it."),
        "personal" => json!({"type": "boolean"}),
        _ => json!(true),
    })
}

fn role() -> Value {
    object(roles::KEYS, &["allow", "credential"], |key| match key {
        "description" => text(),
        "accept" => accepted(),
        "ttl" => told(&refer("duration"), "The most that a credential of the role lives."),
        "session_ttl" => refer("duration"),
        "token_uses" => {
            told(&json!({"type": "integer", "minimum": 1, "maximum": 1_000}), "How often one token may be exchanged.")
        }
        "max_leases" => json!({"type": "integer", "minimum": 1, "maximum": 100_000}),
        "shadow" => told(&json!({"type": "boolean"}), "Decided and recorded, but nothing is handed out."),
        "allow" => json!({"type": "array", "items": row(), "minItems": 1}),
        "credential" => {
            let mut credentials = named(&credential());
            put(&mut credentials, "minProperties", json!(1));
            credentials
        }
        _ => json!(true),
    })
}

fn reason() -> Value {
    told(&json!({"type": "string", "pattern": r"\S"}), "The reason.")
}

/// Findings that the set lets stand.
fn accepted() -> Value {
    let lints: Vec<&str> = LINTS.iter().map(|lint| lint.name).collect();
    object(&lints, &[], |_| reason())
}

/// Conditions on the claims of every kind, and on the claims that generic issuers describe.
fn conditions(keys: &[&str], required: &[&str], known: impl Fn(&str) -> Value) -> Value {
    let mut table = object(keys, required, known);
    if let Some(properties) = table.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, (ty, description)) in claims() {
            let condition = match ty {
                Some(Type::String | Type::Strings) => "condition-string",
                Some(Type::Integer) => "condition-integer",
                Some(Type::Boolean) => "condition-boolean",
                Some(Type::Object) => "condition-object",
                None => "condition",
            };
            properties.insert(name, told(&refer(condition), &description));
        }
        // The verifier settles these for every token.
        properties.extend(REGISTERED.iter().map(|(name, _)| ((*name).to_owned(), json!(false))));
    }
    put(&mut table, "additionalProperties", refer("condition"));
    table
}

/// Every claim of every kind with its type, where all kinds agree on it, and who controls it.
fn claims() -> BTreeMap<String, (Option<Type>, String)> {
    let mut claims: BTreeMap<String, (Option<Type>, String)> = BTreeMap::new();
    for kind in built_in() {
        for claim in kind.claims().iter().filter(|claim| !claim.name.ends_with('*')) {
            let class = match claim.class {
                Class::Immutable => "an id that is never given to another",
                Class::Admin => "administrators",
                Class::Writer => "everyone who can write",
                Class::Anyone => "anyone",
            };
            let told = format!("{}: {class}", kind.name());
            claims
                .entry(claim.name.to_string())
                .and_modify(|(ty, description)| {
                    *ty = ty.filter(|ty| *ty == claim.ty);
                    *description = format!("{description}; {told}");
                })
                .or_insert((Some(claim.ty), told));
        }
    }
    claims
}

fn row() -> Value {
    let vetoes: Vec<&str> = built_in().flat_map(Kind::vetoes).map(|veto| veto.name).collect();
    let waivable: Vec<&str> = [roles::NO_PROJECT_PIN, roles::NO_CODE_GATE].into_iter().chain(vetoes).collect();
    conditions(roles::ROW_KEYS, &["issuer"], |key| match key {
        "issuer" => refer("name"),
        "waive" => object(&waivable, &[], |_| reason()),
        "accept" => accepted(),
        _ => json!(true),
    })
}

fn credential() -> Value {
    let engines: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
    let each = ENGINES.iter().map(|engine| {
        json!({"if": {"properties": {"engine": {"const": engine.name()}}, "required": ["engine"]}, "then": parameters(*engine)})
    });
    json!({"type": "object", "properties": {"engine": words(&engines)}, "required": ["engine"], "allOf": each.collect::<Vec<_>>()})
}

fn parameters(engine: &dyn Engine) -> Value {
    let fields = engine.fields();
    let keys: Vec<&str> = roles::CREDENTIAL_KEYS.iter().copied().chain(fields.iter().map(|field| field.name)).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    object(&keys, &required, |key| match fields.iter().find(|field| field.name == key) {
        Some(field) => parameter(engine, field),
        None if key == "ttl" => refer("duration"),
        None if key == "accept" => accepted(),
        None => json!(true),
    })
}

fn parameter(engine: &dyn Engine, field: &Field) -> Value {
    let item = match (engine.name(), field.name) {
        (operator::NAME, "rights") => {
            let rights: Vec<&str> = operator::RIGHTS.iter().map(|(right, _)| *right).collect();
            let narrowed: Vec<&str> = operator::RIGHTS.iter().filter(|(_, objects)| *objects).map(|(right, _)| *right).collect();
            json!({"anyOf": [words(&rights), {"type": "string", "pattern": format!("^({}):.+$", narrowed.join("|").replace('.', r"\."))}]})
        }
        (kv::NAME, "access") => words(&["read", "list", "write"]),
        _ => text(),
    };
    match field.shape {
        Shape::Text => item,
        Shape::Integer => json!({"type": "integer", "minimum": 0}),
        Shape::Texts => json!({"anyOf": [item, {"type": "array", "items": item}]}),
        Shape::Map => json!({"type": "object", "additionalProperties": item}),
    }
}

fn invariant() -> Value {
    let mut invariant = object(cases::INVARIANT_KEYS, &["name", "issuer"], |key| match key {
        "name" => text(),
        "issuer" => refer("name"),
        "never" => told(&refer("bound"), "No token of the issuer that is all of this gets the role."),
        "only" => told(&refer("bound"), "Every token of the issuer that gets the role is all of this."),
        _ => json!(true),
    });
    put(&mut invariant, "oneOf", json!([{"required": ["never"]}, {"required": ["only"]}]));
    invariant
}

fn owner() -> Value {
    object(owners::KEYS, &["files"], |key| match key {
        "files" | "roles" => refer("name-pattern"),
        "aws_accounts" => {
            let account = json!({"type": "string", "pattern": "^[0-9]{12}$"});
            json!({"anyOf": [account, {"type": "array", "items": account}]})
        }
        _ => refer("texts"),
    })
}

fn case() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut case = object(cases::CASE_KEYS, &["name", "issuer", "expect"], |key| match key {
        "claims" => told(&json!({"type": "object"}), "What differs from the sample token of the issuer's kind."),
        "token" => told(&json!({"type": "object"}), "All claims of the token, instead of those that differ from the sample."),
        "without" | "credentials" => refer("texts"),
        "issuer" | "role" => refer("name"),
        "ttl" => refer("duration"),
        "expect" => words(&["allow", "deny"]),
        "code" => words(&codes),
        "name" => text(),
        _ => json!(true),
    });
    put(&mut case, "if", json!({"properties": {"expect": {"const": "allow"}}, "required": ["expect"]}));
    put(&mut case, "then", json!({"properties": {"code": false}}));
    case
}

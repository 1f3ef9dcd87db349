//! The canonical form, and the hash over it.
//!
//! Every item is written in one way: defaults spelled out, tables and lists in the order of names, durations and strings in
//! one spelling. The hash is SHA-256 over a version line and all items, ordered by their text, so layout, comments, the
//! order of files and the names of files do not change it; everything that can change a decision, an owner, an invariant
//! or a case does. Rows keep their order, since decisions are recorded with the number of the row. Where a set has owners, which of
//! them answer for a role is part of the hash, for that is all that the name of a file says.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::duration;
use super::pattern::{Condition, Pattern};
use super::problem::{Place, SourceFile};
use super::set::{Accept, Bound, Case, Expect, Invariant, Issuer, Owner, PolicySet, Role};
use crate::claims::Json;
use crate::issuers::generic;

/// Stands before the canonical form; changes when the form does.
const VERSION: &str = "daypass policy set, canonical form 1\n";

/// SHA-256 over the canonical form.
pub(super) fn hash(set: &PolicySet) -> [u8; 32] {
    let owned = set.roles.iter().filter_map(|role| owned(set, role));
    let mut items: Vec<String> = items(set).map(|(_, text)| text).chain(owned).collect();
    items.sort();
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(VERSION.as_bytes());
    for item in &items {
        // Lengths stand before the items, so that no two sets run together into the same bytes.
        context.update(&(item.len() as u64).to_be_bytes());
        context.update(item.as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Whose file a role stands in, where somebody owns it.
fn owned(set: &PolicySet, role: &Role) -> Option<String> {
    let mut files: Vec<String> = set.owners_of(role).into_iter().map(|owner| owner.files.to_string()).collect();
    files.sort();
    (!files.is_empty()).then(|| format!("role.{} is owned by {}\n", key(&role.name), files.join(" and ")))
}

/// The set as canonical TOML, file by file. Reading it again gives a set with the same hash.
pub fn print(set: &PolicySet) -> Vec<SourceFile> {
    let mut files: BTreeMap<&str, String> = set.files.iter().map(|file| (file.path.as_str(), String::new())).collect();
    for (place, text) in items(set) {
        let file = files.entry(&place.file).or_default();
        if !file.is_empty() {
            file.push('\n');
        }
        file.push_str(&text);
    }
    files.into_iter().map(|(path, text)| SourceFile { path: path.to_owned(), text }).collect()
}

fn items(set: &PolicySet) -> impl Iterator<Item = (&Place, String)> {
    let issuers = set.issuers.iter().map(|item| (&item.place, issuer(item)));
    let roles = set.roles.iter().map(|item| (&item.place, role(item)));
    let invariants = set.invariants.iter().map(|item| (&item.place, invariant(item)));
    let owners = set.owners.iter().map(|item| (&item.place, owner(item)));
    let cases = set.cases.iter().map(|item| (&item.place, case(item)));
    issuers.chain(roles).chain(invariants).chain(owners).chain(cases)
}

/// A TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for sign in text.chars() {
        match sign {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            sign if sign.is_control() => put(&mut quoted, format_args!("\\u{:04X}", u32::from(sign))),
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML key: bare where it can be.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { text.to_owned() } else { quoted(text) }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    put(out, format_args!("{} = {value}\n", key(name)));
}

fn text(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        line(out, name, quoted(value));
    }
}

fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

pub(super) fn issuer(issuer: &Issuer) -> String {
    let mut out = format!("[issuer.{}]\n", key(&issuer.name));
    line(&mut out, "kind", quoted(issuer.kind.name()));
    text(&mut out, "url", Some(&issuer.url));
    text(&mut out, "audience", Some(&issuer.audience));
    text(&mut out, "discovery", issuer.discovery.as_deref());
    text(&mut out, "jwks_url", issuer.jwks_url.as_deref());
    text(&mut out, "jwks_file", issuer.jwks_file.as_deref());
    line(&mut out, "algorithms", list(issuer.algorithms.iter().map(|algorithm| algorithm.as_str())));
    for (name, seconds) in [("max_token_age", issuer.ages.age), ("max_token_lifetime", issuer.ages.lifetime)] {
        line(&mut out, name, quoted(&duration::print(std::time::Duration::from_secs(seconds.unsigned_abs()))));
    }
    text(&mut out, "ca_file", issuer.ca_file.as_deref());
    line(&mut out, "allow_private_network", issuer.allow_private_network);
    line(&mut out, "enabled", issuer.enabled);
    accept(&mut out, &issuer.accept);
    if let Some(generic) = issuer.kind.schema() {
        schema(&mut out, &issuer.name, generic);
    }
    out
}

fn schema(out: &mut String, name: &str, schema: &generic::Schema) {
    fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> String {
        quoted(words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word))
    }
    line(out, "required", list(schema.required.iter().map(|claim| &**claim)));
    text(out, "replay_claim", schema.replay_claim.as_deref());
    text(out, "person", schema.person.as_deref());
    for claim in &schema.claims {
        put(out, format_args!("\n[issuer.{}.claims.{}]\n", key(name), key(&claim.name)));
        line(out, "type", word(generic::TYPES, &claim.ty));
        line(out, "presence", word(generic::PRESENCES, &claim.presence));
        line(out, "case", word(generic::CASES, &claim.case));
        line(out, "class", word(generic::CLASSES, &claim.class));
        line(out, "personal", claim.personal);
    }
    put(out, format_args!("\n[issuer.{}.job]\n", key(name)));
    for (name, claim) in schema.job.entries() {
        text(out, name, claim);
    }
}

pub(super) fn role(role: &Role) -> String {
    let name = key(&role.name);
    let mut out = format!("[role.{name}]\n");
    text(&mut out, "description", role.description.as_deref());
    line(&mut out, "ttl", quoted(&duration::print(role.ttl)));
    line(&mut out, "session_ttl", quoted(&duration::print(role.session_ttl)));
    line(&mut out, "token_uses", role.token_uses);
    line(&mut out, "max_leases", role.max_leases);
    line(&mut out, "shadow", role.shadow);
    accept(&mut out, &role.accept);
    for row in &role.rows {
        put(&mut out, format_args!("\n[[role.{name}.allow]]\n"));
        line(&mut out, "issuer", quoted(&row.issuer));
        conditions(&mut out, &row.conditions);
        if !row.waive.is_empty() {
            let waived: Vec<String> =
                row.waive.iter().map(|(name, reason)| format!("{} = {}", key(name), quoted(reason))).collect();
            line(&mut out, "waive", format_args!("{{ {} }}", waived.join(", ")));
        }
        accept(&mut out, &row.accept);
    }
    for credential in &role.credentials {
        put(&mut out, format_args!("\n[role.{name}.credential.{}]\n", key(&credential.name)));
        line(&mut out, "engine", quoted(credential.engine.name()));
        if let Some(ttl) = credential.ttl {
            line(&mut out, "ttl", quoted(&duration::print(ttl)));
        }
        // Sorted here, whatever order the map of the JSON library keeps.
        let params = credential.params.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        for (name, value) in params.map(|(name, value)| (name.as_str(), value)).collect::<BTreeMap<_, _>>() {
            line(&mut out, name, param(value));
        }
        accept(&mut out, &credential.accept);
    }
    out
}

/// Accepted findings decide whether a set may become active, and their reasons are what its reviewers signed: they are part of
/// the hash, as the reasons of waivers are. A set that accepts nothing has the hash that it had before there were findings.
fn accept(out: &mut String, accepted: &[Accept]) {
    if !accepted.is_empty() {
        line(out, "accept", table(accepted.iter().map(|accept| (accept.lint.as_str(), quoted(&accept.reason)))));
    }
}

fn conditions(out: &mut String, conditions: &[Condition]) {
    for condition in conditions {
        line(out, &condition.claim, &condition.pattern);
    }
}

fn param(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(param).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => table(map.iter().map(|(name, value)| (name.as_str(), param(value)))),
        other => other.to_string(),
    }
}

fn json(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Json::Object(object) => table(object.iter().map(|(name, value)| (name, json(value)))),
        Json::Int(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        // A case cannot hold these: TOML has no null, and fractions are refused.
        Json::Null | Json::Number(_) => "\"\"".to_owned(),
    }
}

fn table<'a>(entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut entries: Vec<String> = entries.map(|(name, value)| format!("{} = {value}", key(name))).collect();
    entries.sort();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn invariant(invariant: &Invariant) -> String {
    let mut out = "[[invariant]]\n".to_owned();
    text(&mut out, "name", Some(&invariant.name));
    text(&mut out, "issuer", Some(&invariant.issuer));
    let role = (invariant.role != Pattern::Present).then(|| ("role", invariant.role.to_string()));
    let conditions = invariant.conditions.iter().map(|condition| (condition.claim.as_str(), condition.pattern.to_string()));
    let bound = match invariant.bound {
        Bound::Never => "never",
        Bound::Only => "only",
    };
    line(&mut out, bound, table(role.into_iter().chain(conditions)));
    out
}

fn owner(owner: &Owner) -> String {
    let mut out = "[[owner]]\n".to_owned();
    line(&mut out, "files", &owner.files);
    if let Some(roles) = &owner.roles {
        line(&mut out, "roles", roles);
    }
    line(&mut out, "connections", list(owner.connections.iter().map(String::as_str)));
    line(&mut out, "kv", list(owner.kv.iter().map(super::glob::Glob::as_str)));
    line(&mut out, "aws_accounts", list(owner.aws_accounts.iter().map(String::as_str)));
    out
}

fn case(case: &Case) -> String {
    let mut out = "[[case]]\n".to_owned();
    text(&mut out, "name", Some(&case.name));
    text(&mut out, "issuer", Some(&case.issuer));
    let claims = table(case.claims.iter().map(|(name, value)| (name.as_str(), json(value))));
    if case.whole {
        line(&mut out, "token", claims);
    } else {
        line(&mut out, "claims", claims);
        line(&mut out, "without", list(case.without.iter().map(String::as_str)));
    }
    text(&mut out, "role", case.role.as_deref());
    line(&mut out, "credentials", list(case.credentials.iter().map(String::as_str)));
    if let Some(ttl) = case.ttl {
        line(&mut out, "ttl", quoted(&duration::print(ttl)));
    }
    let (expect, code) = match case.expect {
        Expect::Allow => ("allow", None),
        Expect::Deny(code) => ("deny", code),
    };
    text(&mut out, "expect", Some(expect));
    text(&mut out, "code", code.map(crate::refusal::Code::as_str));
    out
}

//! What two sets say differently beside who is let in: what roles give, whom the set believes, and what guards it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::owners;
use crate::policy::duration;
use crate::policy::set::{Bound, Credential, Invariant, Issuer, PolicySet, Role};

/// One thing that is said differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// `role`, `issuer`, `invariant` or `owner`.
    pub kind: &'static str,
    pub name: String,
    /// What of it, as in `ttl` or `credential.cloud.role_arn`; empty when it is the whole.
    pub field: String,
    pub old: Option<String>,
    pub new: Option<String>,
    /// More may be given, more is trusted or less is guarded. Who is let in is not counted here.
    pub widens: bool,
}

pub(super) fn differences(old: &PolicySet, new: &PolicySet) -> Vec<Difference> {
    let mut out = Vec::new();
    paired("role", old.roles(), new.roles(), |role| role.name.clone(), |role| Some(gift(role)), role, &mut out);
    let whom = |issuer: &Issuer| Some(format!("{} {}", issuer.kind.name(), issuer.url));
    paired("issuer", old.issuers(), new.issuers(), |issuer| issuer.url.clone(), whom, issuer, &mut out);
    let said = |invariant: &Invariant| Some(says(invariant));
    paired("invariant", old.invariants(), new.invariants(), |invariant| invariant.name.clone(), said, invariant, &mut out);
    owners::differences(old, new, &mut out);
    out
}

/// Compares what bears the same name. Whoever is new or gone is told whole.
fn paired<T>(
    kind: &'static str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> String,
    whole: impl Fn(&T) -> Option<String>,
    compare: impl Fn(&T, &T, &mut dyn FnMut(String, Option<String>, Option<String>, bool)),
    out: &mut Vec<Difference>,
) {
    // Without a guard everything is wider; without an issuer or a role nothing is.
    let guards = kind == "invariant";
    let names: BTreeSet<String> = old.iter().chain(new).map(&name).collect();
    for of in names {
        let (was, is) = (bearing(old, &name, &of, &whole), bearing(new, &name, &of, &whole));
        for at in 0..was.len().max(is.len()) {
            match (was.get(at), is.get(at)) {
                (Some(was), Some(is)) => compare(was, is, &mut |field, old, new, widens| {
                    out.push(Difference { kind, name: of.clone(), field, old, new, widens });
                }),
                (was, is) => {
                    let (was, is) = (was.and_then(|was| whole(was)), is.and_then(|is| whole(is)));
                    let widens = guards && is.is_none();
                    out.push(Difference { kind, name: of.clone(), field: String::new(), old: was, new: is, widens });
                }
            }
        }
    }
}

/// All that bear a name, in an order that does not hang on where they stand: owners of the same files are several.
fn bearing<'i, T>(items: &'i [T], name: impl Fn(&T) -> String, of: &str, whole: impl Fn(&T) -> Option<String>) -> Vec<&'i T> {
    let mut found: Vec<&T> = items.iter().filter(|item| name(item) == of).collect();
    found.sort_by_cached_key(|item| whole(item));
    found
}

type Tell<'t> = &'t mut dyn FnMut(String, Option<String>, Option<String>, bool);

fn tell(tell: Tell<'_>, field: &str, old: impl Display, new: impl Display, widens: bool) {
    let (old, new) = (format!("{old}"), format!("{new}"));
    if old != new {
        tell(field.to_owned(), Some(old), Some(new), widens);
    }
}

fn gift(role: &Role) -> String {
    let credentials: Vec<String> =
        role.credentials.iter().map(|credential| format!("{} ({})", credential.name, credential.engine.name())).collect();
    format!("gives {}", credentials.join(", "))
}

fn role(old: &Role, new: &Role, out: Tell<'_>) {
    tell(out, "ttl", duration::print(old.ttl), duration::print(new.ttl), new.ttl > old.ttl);
    let session = new.session_ttl > old.session_ttl;
    tell(out, "session_ttl", duration::print(old.session_ttl), duration::print(new.session_ttl), session);
    tell(out, "token_uses", old.token_uses, new.token_uses, new.token_uses > old.token_uses);
    tell(out, "max_leases", old.max_leases, new.max_leases, new.max_leases > old.max_leases);
    tell(out, "shadow", old.shadow, new.shadow, false);
    let names: BTreeSet<&str> =
        old.credentials.iter().chain(&new.credentials).map(|credential| credential.name.as_str()).collect();
    for name in names {
        let field = format!("credential.{name}");
        match (old.credential(name), new.credential(name)) {
            (Some(was), Some(is)) => credential(&field, was, is, out),
            (was, is) => {
                let engine = |credential: &Credential| credential.engine.name().to_owned();
                out(field, was.map(engine), is.map(engine), is.is_some());
            }
        }
    }
}

fn credential(field: &str, old: &Credential, new: &Credential, out: Tell<'_>) {
    tell(out, &format!("{field}.engine"), old.engine.name(), new.engine.name(), true);
    let ttl = |credential: &Credential| credential.ttl.map_or_else(|| "the role's".to_owned(), duration::print);
    // One that says nothing lives as long as the role lets it.
    let longer = match (old.ttl, new.ttl) {
        (Some(old), Some(new)) => new > old,
        (Some(_), None) => true,
        (None, _) => false,
    };
    tell(out, &format!("{field}.ttl"), ttl(old), ttl(new), longer);
    let params = |credential: &Credential| credential.params.as_object().cloned().unwrap_or_default();
    let (was, is) = (params(old), params(new));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        let (was, is) = (was.get(name).unwrap_or(&Value::Null), is.get(name).unwrap_or(&Value::Null));
        if was != is {
            let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
            // Of rights it can be told which way they went; anything else may reach what it did not.
            let widens = !(new.is_operator() && fewer(was, is));
            out(format!("{field}.{name}"), text(was), text(is), widens);
        }
    }
}

/// Whether the second list has nothing that the first lacks.
fn fewer(old: &Value, new: &Value) -> bool {
    old.as_array().zip(new.as_array()).is_some_and(|(old, new)| new.iter().all(|item| old.contains(item)))
}

fn issuer(old: &Issuer, new: &Issuer, out: Tell<'_>) {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    // What operators stop or switch off goes by name: under another one the issuer is let in again.
    tell(out, "name", &old.name, &new.name, true);
    tell(out, "kind", old.kind.name(), new.kind.name(), true);
    tell(out, "audience", &old.audience, &new.audience, true);
    for (field, old, new) in [
        ("discovery", &old.discovery, &new.discovery),
        ("jwks_url", &old.jwks_url, &new.jwks_url),
        ("jwks_file", &old.jwks_file, &new.jwks_file),
        ("ca_file", &old.ca_file, &new.ca_file),
    ] {
        tell(out, field, shown(old), shown(new), true);
    }
    let words = |issuer: &Issuer| issuer.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
    let more = new.algorithms.iter().any(|algorithm| !old.algorithms.contains(algorithm));
    tell(out, "algorithms", words(old), words(new), more);
    let lasting = |seconds: i64| duration::print(Duration::from_secs(seconds.unsigned_abs()));
    let (age, lifetime) = (new.ages.age > old.ages.age, new.ages.lifetime > old.ages.lifetime);
    tell(out, "max_token_age", lasting(old.ages.age), lasting(new.ages.age), age);
    tell(out, "max_token_lifetime", lasting(old.ages.lifetime), lasting(new.ages.lifetime), lifetime);
    tell(out, "allow_private_network", old.allow_private_network, new.allow_private_network, new.allow_private_network);
    tell(out, "enabled", old.enabled, new.enabled, false);
    if old.kind.schema() != new.kind.schema() {
        out("claims".to_owned(), Some("another schema".to_owned()), Some("this schema".to_owned()), true);
    }
}

fn says(invariant: &Invariant) -> String {
    let bound = if invariant.bound == Bound::Never { "never" } else { "only" };
    let conditions: Vec<String> =
        invariant.conditions.iter().map(|condition| format!("{} = {}", condition.claim, condition.pattern)).collect();
    let role =
        if invariant.role == crate::policy::Pattern::Present { String::new() } else { format!("role = {}, ", invariant.role) };
    format!("{} {bound} {{ {role}{} }}", invariant.issuer, conditions.join(", "))
}

fn invariant(old: &Invariant, new: &Invariant, out: Tell<'_>) {
    tell(out, "", says(old), says(new), true);
}

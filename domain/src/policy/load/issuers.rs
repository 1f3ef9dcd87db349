//! `[issuer.NAME]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::DeTable;

use super::{Known, named};
use crate::issuers::generic::{self, Generic, JobClaims, Schema};
use crate::issuers::issuer::{Case, Claim, Class, Kind, Presence, REGISTERED, Type};
use crate::issuers::{by_name, https_url, kinds};
use crate::policy::read::Reader;
use crate::policy::set::{Algorithm, Issuer};

pub(in crate::policy) const KEYS: &[&str] = &[
    "kind",
    "url",
    "audience",
    "discovery",
    "jwks_url",
    "jwks_file",
    "algorithms",
    "max_token_age",
    "max_token_lifetime",
    "ca_file",
    "allow_private_network",
    "enabled",
    "accept",
];
pub(in crate::policy) const GENERIC_KEYS: &[&str] = &["claims", "required", "job", "replay_claim", "person"];
pub(in crate::policy) const CLAIM_KEYS: &[&str] = &["type", "presence", "case", "class", "personal"];

pub(super) fn read(reader: &Reader<'_>, document: &DeTable<'_>, known: &mut BTreeMap<String, Known>, issuers: &mut Vec<Issuer>) {
    for (name, place, span, table) in named(reader, document, "issuer") {
        let of = format!("issuer `{name}`");
        let kind_name = reader.text(table, "kind");
        let is_generic = kind_name.as_ref().is_some_and(|kind| kind.get_ref() == generic::NAME);
        let keys: Vec<&str> = KEYS.iter().chain(if is_generic { GENERIC_KEYS } else { &[] }).copied().collect();
        reader.only(table, &of, &keys);
        let kind: Option<Arc<dyn Kind>> = match &kind_name {
            None => {
                if !table.contains_key("kind") {
                    reader.missing(&span, &of, "kind", &format!("one of {}", kinds().join(", ")));
                }
                None
            }
            Some(_) if is_generic => Some(Arc::new(Generic::new(schema(reader, table, &of)))),
            Some(word) => {
                let kind = by_name(word.get_ref());
                if kind.is_none() {
                    let message = format!(
                        "`{}` is no kind of issuer; expected one of {}",
                        word.get_ref().escape_debug(),
                        kinds().join(", ")
                    );
                    let problem = reader.problem(&word.span(), "issuer-kind", message);
                    reader.report(problem.nearest(word.get_ref(), kinds().iter().copied()));
                }
                kind
            }
        };
        if known.insert(name.clone(), Known { kind: kind.clone() }).is_some() {
            reader.report(reader.problem(&span, "duplicate-issuer", format!("the issuer `{name}` is defined more than once")));
        }
        let url = url(reader, table, &of, &span, kind.as_deref());
        let audience = audience(reader, table, &of, &span);
        for key in ["discovery", "jwks_url"] {
            if let Some(text) = reader.text(table, key)
                && let Err(reason) = https_url(text.get_ref())
            {
                reader.report(reader.problem(&text.span(), "url", format!("`{key}`: {reason}")));
            }
        }
        let text = |key: &str| reader.text(table, key).map(toml::Spanned::into_inner);
        if table.contains_key("jwks_file") && (table.contains_key("jwks_url") || table.contains_key("discovery")) {
            reader.report(reader.problem(
                &span,
                "jwks-source",
                format!("{of} has `jwks_file` beside `jwks_url` or `discovery`; expected one source of keys"),
            ));
        }
        let algorithms = algorithms(reader, table);
        let seconds = |key: &str| {
            let duration = reader.duration(table, key)?;
            let seconds = i64::try_from(duration.get_ref().as_secs()).ok().filter(|seconds| *seconds > 0);
            if seconds.is_none() {
                reader.report(reader.problem(&duration.span(), "duration", format!("`{key}` must be more than nothing")));
            }
            seconds
        };
        let (age, lifetime) = (seconds("max_token_age"), seconds("max_token_lifetime"));
        let allow_private_network = reader.flag(table, "allow_private_network").unwrap_or(false);
        let enabled = reader.flag(table, "enabled").unwrap_or(true);
        let (Some(kind), Some(url), Some(audience)) = (kind, url, audience) else { continue };
        let mut ages = kind.ages();
        ages.age = age.unwrap_or(ages.age);
        ages.lifetime = lifetime.unwrap_or(ages.lifetime);
        issuers.push(Issuer {
            name,
            url,
            audience,
            kind,
            discovery: text("discovery"),
            jwks_url: text("jwks_url"),
            jwks_file: text("jwks_file"),
            algorithms,
            ages,
            ca_file: text("ca_file"),
            allow_private_network,
            enabled,
            accept: super::accept::read(reader, table),
            keys: reader.places(table),
            place,
        });
    }
}

fn url(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    of: &str,
    span: &std::ops::Range<usize>,
    kind: Option<&dyn Kind>,
) -> Option<String> {
    let Some(url) = reader.text(table, "url") else {
        if !table.contains_key("url") {
            reader.missing(span, of, "url", "the issuer's URL exactly as its tokens say in iss");
        }
        return None;
    };
    if let Some(Err(reason)) = kind.map(|kind| kind.check_url(url.get_ref())) {
        reader.report(reader.problem(&url.span(), "issuer-url", format!("`url`: {reason}")));
    }
    Some(url.into_inner())
}

fn audience(reader: &Reader<'_>, table: &DeTable<'_>, of: &str, span: &std::ops::Range<usize>) -> Option<String> {
    let Some(audience) = reader.text(table, "audience") else {
        if !table.contains_key("audience") {
            reader.missing(span, of, "audience", "exactly one string, this broker's own");
        }
        return None;
    };
    let text = audience.get_ref();
    let default = ["https://github.com", "https://gitlab.com"]
        .iter()
        .any(|host| text.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if text.is_empty() || text.len() > 512 || default {
        let message =
            "`audience` must be this broker's own; the CI system's default audience is shared with everyone else who believes it";
        reader.report(reader.problem(&audience.span(), "audience", message));
    }
    Some(audience.into_inner())
}

fn algorithms(reader: &Reader<'_>, table: &DeTable<'_>) -> Vec<Algorithm> {
    if !table.contains_key("algorithms") {
        return Algorithm::DEFAULT.to_vec();
    }
    let mut algorithms = Vec::new();
    let words = || Algorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    let written = reader.texts(table, "algorithms");
    for word in &written {
        if let Some(algorithm) = Algorithm::ALL.iter().find(|algorithm| algorithm.as_str() == word.get_ref()) {
            algorithms.push(*algorithm);
        } else {
            let message = format!("`{}` is no signature algorithm that can be allowed", word.get_ref().escape_debug());
            reader.report(reader.problem(&word.span(), "algorithm", message).nearest(word.get_ref(), words()));
        }
    }
    if let (true, Some(node)) = (written.is_empty(), table.get("algorithms")) {
        reader.wrong_type(node, "algorithms", "at least one algorithm");
    }
    algorithms.sort();
    algorithms.dedup();
    algorithms
}

/// The schema of a generic issuer.
fn schema(reader: &Reader<'_>, table: &DeTable<'_>, of: &str) -> Schema {
    let mut schema = Schema::default();
    if let Some(claims) = table.get("claims").and_then(|node| reader.table(node, "claims")) {
        for (key, node) in claims {
            let name = key.get_ref().to_string();
            if REGISTERED.iter().any(|(registered, _)| *registered == name) {
                let message = format!("`{name}` is settled by the verifier for every token and cannot be a claim of a schema");
                reader.report(reader.problem(&key.span(), "registered-claim", message));
            } else if let Some(table) = reader.table(node, &name) {
                schema.claims.push(claim(reader, table, name));
            }
        }
    }
    let names: Vec<String> = schema.claims.iter().map(|claim| claim.name.to_string()).collect();
    let known = |claim: toml::Spanned<String>, registered: bool| {
        let name = claim.get_ref();
        if names.contains(name) || (registered && REGISTERED.iter().any(|(known, _)| known == name)) {
            return Some(claim.into_inner());
        }
        let message = format!("`{}` is no claim of {of}", name.escape_debug());
        let problem = reader.problem(&claim.span(), "unknown-claim", message).nearest(name, names.iter().map(String::as_str));
        reader.report(problem);
        None
    };
    schema.required =
        reader.texts(table, "required").into_iter().filter_map(|claim| known(claim, true)).map(Cow::Owned).collect();
    schema.required.sort();
    schema.required.dedup();
    schema.replay_claim = reader.text(table, "replay_claim").and_then(|claim| known(claim, true));
    schema.person = reader.text(table, "person").and_then(|claim| known(claim, false));
    if let Some(job) = table.get("job").and_then(|node| reader.table(node, "job")) {
        reader.only(job, &format!("the job view of {of}"), generic::JOB_KEYS);
        let mut view = JobClaims::default();
        for key in generic::JOB_KEYS {
            if let Some(claim) = reader.text(job, key).and_then(|claim| known(claim, false)) {
                view.set(key, claim);
            }
        }
        schema.job = view;
    }
    schema
}

fn claim(reader: &Reader<'_>, table: &DeTable<'_>, name: String) -> Claim {
    let of = format!("the claim `{name}`");
    reader.only(table, &of, CLAIM_KEYS);
    let ty = word(reader, table, "type", generic::TYPES).unwrap_or(Type::String);
    let presence = word(reader, table, "presence", generic::PRESENCES).unwrap_or(Presence::Always);
    let case = word(reader, table, "case", generic::CASES).unwrap_or(Case::Exact);
    // What is not told is the worst: a claim that anyone controls pins nothing.
    let class = word(reader, table, "class", generic::CLASSES).unwrap_or(Class::Anyone);
    let personal = reader.flag(table, "personal").unwrap_or(false);
    Claim { name: Cow::Owned(name), ty, presence, case, class, personal, pins_project: false, gates_code: false }
}

fn word<T: Copy>(reader: &Reader<'_>, table: &DeTable<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
    let text = reader.text(table, key)?;
    let found = words.iter().find(|(word, _)| word == text.get_ref()).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{key}` is `{}`; expected one of {}", text.get_ref().escape_debug(), known.join(", "));
        reader.report(reader.problem(&text.span(), "unknown-word", message).nearest(text.get_ref(), known));
    }
    found
}

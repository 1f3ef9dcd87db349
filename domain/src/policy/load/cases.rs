//! `[[invariant]]` and `[[case]]`.

use toml::Spanned;
use toml::de::DeTable;

use super::{Context, conditions, json, roles};
use crate::claims::{Claims, Json};
use crate::issuers::issuer::{Claim, Kind, REGISTERED, Type};
use crate::policy::pattern::{Pattern, typed};
use crate::policy::read::Reader;
use crate::policy::set::{Bound, Case, Expect, Invariant};
use crate::refusal::Code;

pub(in crate::policy) const INVARIANT_KEYS: &[&str] = &["name", "issuer", "never", "only"];
pub(in crate::policy) const CASE_KEYS: &[&str] =
    &["name", "issuer", "claims", "without", "token", "role", "credentials", "ttl", "expect", "code"];

pub(super) fn invariants(reader: &Reader<'_>, document: &DeTable<'_>, context: &Context<'_>, invariants: &mut Vec<Invariant>) {
    let Some(node) = document.get("invariant") else { return };
    for (span, table) in reader.tables(node, "invariant") {
        reader.only(table, "an invariant", INVARIANT_KEYS);
        for key in ["name", "issuer"].into_iter().filter(|key| !table.contains_key(*key)) {
            reader.missing(&span, "an invariant", key, "a string");
        }
        let name = reader.text(table, "name");
        let issuer = reader.text(table, "issuer");
        let kind = issuer.as_ref().and_then(|issuer| roles::kind(reader, issuer, context));
        let (bound, key) = match (table.contains_key("never"), table.contains_key("only")) {
            (true, false) => (Bound::Never, "never"),
            (false, true) => (Bound::Only, "only"),
            _ => {
                reader.report(reader.problem(&span, "invariant", "an invariant has exactly one of `never` and `only`"));
                continue;
            }
        };
        if let Some(name) = name.as_ref().filter(|name| invariants.iter().any(|other| other.name == *name.get_ref())) {
            let message = format!("there is another invariant named `{}`", name.get_ref().escape_debug());
            reader.report(reader.problem(&name.span(), "duplicate-name", message));
        }
        let Some((body, kind)) = table.get(key).and_then(|node| reader.table(node, key)).zip(kind) else { continue };
        let role = match body.get("role") {
            Some(node) => conditions::pattern(reader, node, "role", None),
            None => Some(Pattern::Present),
        };
        let conditions = conditions::read(reader, body, kind, &["role"]);
        if conditions.is_empty() && body.keys().all(|key| &**key.get_ref() == "role") {
            reader.report(reader.problem(&span, "invariant", format!("`{key}` must name at least one claim beside `role`")));
        }
        if let Some(((name, issuer), role)) = name.zip(issuer).zip(role) {
            let (name, issuer) = (name.into_inner(), issuer.into_inner());
            invariants.push(Invariant { name, issuer, bound, role, conditions, place: reader.place(&span) });
        }
    }
}

pub(super) fn cases(reader: &Reader<'_>, document: &DeTable<'_>, context: &Context<'_>, cases: &mut Vec<Case>) {
    let Some(node) = document.get("case") else { return };
    for (span, table) in reader.tables(node, "case") {
        reader.only(table, "a case", CASE_KEYS);
        for key in ["name", "issuer", "expect"].into_iter().filter(|key| !table.contains_key(*key)) {
            reader.missing(&span, "a case", key, "a string");
        }
        let place = reader.place(&span);
        let name = reader.text(table, "name");
        if let Some(name) = &name
            && cases.iter().any(|other| other.name == *name.get_ref() && other.place.file == place.file)
        {
            let message = format!("this file has another case named `{}`", name.get_ref().escape_debug());
            reader.report(reader.problem(&name.span(), "duplicate-name", message));
        }
        let issuer = reader.text(table, "issuer");
        let kind = issuer.as_ref().and_then(|issuer| roles::kind(reader, issuer, context));
        let expect = expect(reader, table, &span);
        let whole = table.contains_key("token");
        if whole && (table.contains_key("claims") || table.contains_key("without")) {
            let message = "a case has a whole `token`, or `claims` and `without` over the issuer's sample; not both";
            reader.report(reader.problem(&span, "case", message));
        }
        let of = if whole { "token" } else { "claims" };
        let claims = kind.map_or_else(Vec::new, |kind| claims(reader, table, of, kind));
        let without = reader.texts(table, "without");
        let sound = |name: &Spanned<String>| {
            let registered = REGISTERED.iter().any(|(known, _)| known == name.get_ref());
            registered || kind.is_none_or(|kind| conditions::known(reader, &name.span(), name.get_ref(), kind, &[]).is_some())
        };
        let mut without: Vec<String> = without.into_iter().filter(sound).map(Spanned::into_inner).collect();
        without.sort();
        let mut credentials: Vec<String> = reader.texts(table, "credentials").into_iter().map(Spanned::into_inner).collect();
        credentials.sort();
        let role = reader.text(table, "role").map(Spanned::into_inner);
        let ttl = reader.duration(table, "ttl").map(Spanned::into_inner);
        if let Some(((name, issuer), expect)) = name.zip(issuer).zip(expect) {
            let (name, issuer) = (name.into_inner(), issuer.into_inner());
            cases.push(Case { name, issuer, whole, claims, without, role, credentials, ttl, expect, place });
        }
    }
}

fn claims(reader: &Reader<'_>, table: &DeTable<'_>, of: &str, kind: &dyn Kind) -> Vec<(String, Json)> {
    let Some(table) = table.get(of).and_then(|node| reader.table(node, of)) else { return Vec::new() };
    let mut claims = Vec::new();
    for (key, node) in table {
        let name = key.get_ref().to_string();
        let wrong = |name: &str, ty| reader.wrong_type(node, name, &format!("a {} as the tokens carry it", word(ty)));
        // A whole token nests as tokens do, so that what the schema reaches by pointers is found below its outer name.
        let below = if of == "token" && kind.claim(&name).is_none() { nested(kind, &name) } else { Vec::new() };
        if !below.is_empty() {
            let Some(value) = json(node.get_ref()) else {
                wrong(&name, Type::Object);
                continue;
            };
            let token = Claims::default().with(&name, value.clone());
            match below.iter().find(|claim| token.get(&claim.name).is_some_and(|value| !typed(claim.ty, value))) {
                Some(claim) => wrong(&claim.name, claim.ty),
                None => claims.push((name, value)),
            }
            continue;
        }
        let registered = REGISTERED.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty);
        let ty = registered.or_else(|| conditions::known(reader, &key.span(), &name, kind, &[]).map(|claim| claim.ty));
        let Some(ty) = ty else { continue };
        match json(node.get_ref()).filter(|value| typed(ty, value)) {
            Some(value) => claims.push((name, value)),
            None => wrong(&name, ty),
        }
    }
    claims.sort_by(|a, b| a.0.cmp(&b.0));
    claims
}

fn word(ty: Type) -> String {
    format!("{ty:?}").to_lowercase()
}

/// The claims that a kind reaches by pointers through the outer claim `name`.
fn nested<'k>(kind: &'k dyn Kind, name: &str) -> Vec<&'k Claim> {
    let head = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let below = |claim: &str| claim.strip_prefix(&head).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    kind.claims().iter().filter(|claim| below(&claim.name)).collect()
}

fn expect(reader: &Reader<'_>, table: &DeTable<'_>, span: &std::ops::Range<usize>) -> Option<Expect> {
    let code = reader.text(table, "code");
    let parsed = code.as_ref().and_then(|word| {
        let found: Option<Code> = word.get_ref().parse().ok();
        if found.is_none() {
            let message = format!("`{}` is no refusal code", word.get_ref().escape_debug());
            let codes = Code::ALL.iter().map(|code| code.as_str());
            reader.report(reader.problem(&word.span(), "unknown-code", message).nearest(word.get_ref(), codes));
        }
        found
    });
    let expect = reader.text(table, "expect")?;
    match expect.get_ref().as_str() {
        "allow" if code.is_some() => {
            reader.report(reader.problem(span, "case", "a case that expects \"allow\" has no `code`"));
            None
        }
        "allow" => Some(Expect::Allow),
        "deny" => Some(Expect::Deny(parsed)),
        other => {
            let message = format!("`expect` is `{}`; expected \"allow\" or \"deny\"", other.escape_debug());
            reader.report(reader.problem(&expect.span(), "case", message).nearest(other, ["allow", "deny"]));
            None
        }
    }
}

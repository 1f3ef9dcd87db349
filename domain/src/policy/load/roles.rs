//! `[role.NAME]`, its rows and its credentials.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::missing::Missing;
use super::{Context, accept, conditions, named};
use crate::credentials::engine::{Engine, Field, Shape};
use crate::credentials::template::Template;
use crate::credentials::{ENGINES, by_name};
use crate::issuers::issuer::{Kind, Type};
use crate::policy::problem::Problem;
use crate::policy::read::{Node, Reader, integer};
use crate::policy::set::{Credential, Hole, Role, Row};

/// Rules of the set that a row can lift, beside the vetoes of its issuer.
pub(in crate::policy) const NO_PROJECT_PIN: &str = "no-project-pin";
pub(in crate::policy) const NO_CODE_GATE: &str = "no-code-gate";

pub(in crate::policy) const KEYS: &[&str] =
    &["description", "ttl", "session_ttl", "token_uses", "max_leases", "shadow", "accept", "allow", "credential"];
/// The keys of a row that are no claims.
pub(in crate::policy) const ROW_KEYS: &[&str] = &["issuer", "waive", "accept"];
/// The keys of a credential that are no parameters.
pub(in crate::policy) const CREDENTIAL_KEYS: &[&str] = &["engine", "ttl", "accept"];
const TTL: Duration = Duration::from_mins(15);
const SESSION_TTL: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(24);

pub(super) fn read(reader: &Reader<'_>, document: &DeTable<'_>, context: &Context<'_>, roles: &mut Vec<Role>) {
    for (name, place, span, table) in named(reader, document, "role") {
        let of = format!("role `{name}`");
        reader.only(table, &of, KEYS);
        if let Some(other) = roles.iter().find(|role| role.name == name) {
            let message = format!("the role `{name}` is defined in {} already", other.place.file);
            reader.report(reader.problem(&span, "duplicate-role", message));
        }
        let ttl = within(reader, table, "ttl").unwrap_or(TTL);
        let session_ttl = within(reader, table, "session_ttl").unwrap_or(SESSION_TTL);
        if ttl > session_ttl {
            let at = table.get("ttl").map_or(span.clone(), Spanned::span);
            let message =
                format!("{of} has a `ttl` above its `session_ttl`; a credential cannot outlive the session that releases it");
            reader.report(reader.problem(&at, "ttl", message));
        }
        let rows = rows(reader, table, &of, &span, context);
        let kinds: Vec<&dyn Kind> = rows.iter().filter_map(|row| context.issuers.get(&row.issuer)?.kind.as_deref()).collect();
        let credentials = credentials(reader, table, &of, &span, &kinds, ttl);
        roles.push(Role {
            description: reader.text(table, "description").map(Spanned::into_inner),
            ttl,
            session_ttl,
            token_uses: reader.number(table, "token_uses", 1..1_001).and_then(|uses| u16::try_from(uses).ok()).unwrap_or(1),
            max_leases: reader.number(table, "max_leases", 1..100_001).and_then(|most| u32::try_from(most).ok()).unwrap_or(20),
            shadow: reader.flag(table, "shadow").unwrap_or(false),
            rows,
            credentials,
            accept: accept::read(reader, table),
            keys: reader.places(table),
            name,
            place,
        });
    }
}

fn within(reader: &Reader<'_>, table: &DeTable<'_>, key: &str) -> Option<Duration> {
    let duration = reader.duration(table, key)?;
    if duration.get_ref().is_zero() || *duration.get_ref() > LONGEST {
        reader.report(reader.problem(&duration.span(), "ttl", format!("`{key}` must be from 1s to 24h")));
    }
    Some(duration.into_inner())
}

fn rows(reader: &Reader<'_>, table: &DeTable<'_>, of: &str, span: &Range<usize>, context: &Context<'_>) -> Vec<Row> {
    let Some(node) = table.get("allow") else {
        reader.missing(span, of, "allow", "at least one row, written [[role.NAME.allow]]");
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (span, row) in reader.tables(node, "allow") {
        let Some(issuer) = reader.text(row, "issuer") else {
            if !row.contains_key("issuer") {
                reader.missing(&span, &format!("a row of {of}"), "issuer", "the name of an issuer");
            }
            continue;
        };
        let Some(kind) = kind(reader, &issuer, context) else { continue };
        let conditions = conditions::read(reader, row, kind, ROW_KEYS);
        rows.push(Row {
            issuer: issuer.into_inner(),
            issuer_at: usize::MAX,
            whole: conditions.len() + ROW_KEYS.iter().filter(|key| row.contains_key(**key)).count() == row.len(),
            conditions,
            waive: waivers(reader, row, kind),
            accept: accept::read(reader, row),
            keys: reader.places(row),
            place: reader.place(&span),
        });
    }
    rows
}

/// The kind of an issuer that a row, invariant or case names.
pub(super) fn kind<'c>(reader: &Reader<'_>, issuer: &Spanned<String>, context: &Context<'c>) -> Option<&'c dyn Kind> {
    let known = context.issuers.get(issuer.get_ref());
    if known.is_none() {
        let missing = Missing { name: issuer.get_ref().clone(), place: reader.place(&issuer.span()) };
        context.missing.borrow_mut().push(missing);
    }
    known?.kind.as_deref()
}

fn waivers(reader: &Reader<'_>, row: &DeTable<'_>, kind: &dyn Kind) -> BTreeMap<String, String> {
    let Some(table) = row.get("waive").and_then(|node| reader.table(node, "waive")) else { return BTreeMap::new() };
    let names: Vec<&str> = kind.vetoes().iter().map(|veto| veto.name).chain([NO_PROJECT_PIN, NO_CODE_GATE]).collect();
    reader.only(table, "`waive`", &names);
    let mut waive = BTreeMap::new();
    for name in names {
        let Some(reason) = reader.text(table, name) else { continue };
        if reason.get_ref().trim().is_empty() {
            reader.report(reader.problem(&reason.span(), "waiver-reason", format!("`{name}` is waived without a reason")));
        }
        waive.insert(name.to_owned(), reason.into_inner());
    }
    waive
}

fn credentials(
    reader: &Reader<'_>,
    role: &DeTable<'_>,
    of: &str,
    span: &Range<usize>,
    kinds: &[&dyn Kind],
    role_ttl: Duration,
) -> Vec<Credential> {
    if !role.contains_key("credential") {
        reader.missing(span, of, "credential", "at least one, written [role.NAME.credential.NAME]");
    }
    let mut credentials = Vec::new();
    for (name, place, span, table) in named(reader, role, "credential") {
        let of = format!("credential `{name}`");
        let Some(word) = reader.text(table, "engine") else {
            if !table.contains_key("engine") {
                let engines: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
                reader.missing(&span, &of, "engine", &format!("one of {}", engines.join(", ")));
            }
            continue;
        };
        let Some(engine) = by_name(word.get_ref()) else {
            let message = format!("there is no engine `{}`", word.get_ref().escape_debug());
            let names = ENGINES.iter().map(|engine| engine.name());
            reader.report(reader.problem(&word.span(), "unknown-engine", message).nearest(word.get_ref(), names));
            continue;
        };
        let ttl = within(reader, table, "ttl");
        let effective = ttl.unwrap_or(role_ttl).min(role_ttl);
        if effective < engine.bounds().floor {
            let at = table.get("ttl").map_or(span.clone(), Spanned::span);
            let floor = crate::policy::duration::print(engine.bounds().floor);
            let message = format!(
                "{of} lives {}, below the {floor} that `{}` needs",
                crate::policy::duration::print(effective),
                engine.name()
            );
            reader.report(reader.problem(&at, "ttl", message));
        }
        if let Some((params, holes)) = params(reader, table, engine, &of, &span, kinds) {
            let (accept, keys) = (accept::read(reader, table), reader.places(table));
            credentials.push(Credential { name, engine, params, ttl, holes, accept, keys, place });
        }
    }
    credentials.sort_by(|a, b| a.name.cmp(&b.name));
    credentials
}

/// The parameters of a credential, checked as far as they can be before claims are put in.
fn params(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    engine: &dyn Engine,
    of: &str,
    span: &Range<usize>,
    kinds: &[&dyn Kind],
) -> Option<(Value, Vec<Hole>)> {
    let fields = engine.fields();
    let known: Vec<&str> = CREDENTIAL_KEYS.iter().copied().chain(fields.iter().map(|field| field.name)).collect();
    reader.only(table, &format!("{of} (engine `{}`)", engine.name()), &known);
    let mut texts = Texts { reader, kinds, holes: Vec::new(), sound: true };
    let (mut written, mut tried) = (serde_json::Map::new(), serde_json::Map::new());
    for field in fields {
        let Some(node) = table.get(field.name) else {
            if field.required {
                reader.missing(span, of, field.name, field.shape.expected());
                texts.sound = false;
            }
            continue;
        };
        if let Some((value, trial)) = texts.field(field, node) {
            written.insert(field.name.to_owned(), value);
            tried.insert(field.name.to_owned(), trial);
        }
    }
    if !texts.sound {
        return None;
    }
    let faults = engine.check(&Value::Object(tried));
    for fault in &faults {
        let at = table.get(fault.field).map_or(span.clone(), Spanned::span);
        reader.report(reader.problem(&at, "parameter", format!("`{}` of {of}: {}", fault.field, fault.message)));
    }
    if !faults.is_empty() {
        return None;
    }
    match engine.normal(Value::Object(written)) {
        Ok(params) => Some((params, texts.holes)),
        Err(reason) => {
            reader.report(reader.problem(span, "parameter", format!("{of}: {reason}")));
            None
        }
    }
}

/// Reads the texts of parameters and finds the templates in them.
struct Texts<'a> {
    reader: &'a Reader<'a>,
    kinds: &'a [&'a dyn Kind],
    holes: Vec<Hole>,
    sound: bool,
}

impl Texts<'_> {
    /// The value as written, and the same with a harmless word in place of every claim.
    fn field(&mut self, field: &Field, node: &Node<'_>) -> Option<(Value, Value)> {
        let pointer = format!("/{}", field.name);
        let read = match (field.shape, node.get_ref()) {
            (Shape::Text, DeValue::String(_)) => self.text(field, node, pointer),
            (Shape::Integer, number) => {
                integer(number).filter(|number| *number >= 0).map(|number| (Value::from(number), Value::from(number)))
            }
            (Shape::Texts, DeValue::Array(items)) => {
                let each = items.iter().enumerate().map(|(at, item)| self.text(field, item, format!("{pointer}/{at}")));
                each.collect::<Option<(Vec<_>, Vec<_>)>>().map(|(written, tried)| (Value::Array(written), Value::Array(tried)))
            }
            (Shape::Texts, DeValue::String(_)) => {
                self.text(field, node, format!("{pointer}/0")).map(|(written, tried)| (vec![written].into(), vec![tried].into()))
            }
            (Shape::Map, DeValue::Table(table)) => {
                let mut maps = (serde_json::Map::new(), serde_json::Map::new());
                for (key, item) in table {
                    let key = key.get_ref().to_string();
                    let step = key.replace('~', "~0").replace('/', "~1");
                    let (written, tried) = self.text(field, item, format!("{pointer}/{step}"))?;
                    maps.0.insert(key.clone(), written);
                    maps.1.insert(key, tried);
                }
                Some((Value::Object(maps.0), Value::Object(maps.1)))
            }
            _ => {
                self.reader.wrong_type(node, field.name, field.shape.expected());
                self.sound = false;
                return None;
            }
        };
        if read.is_none() {
            if field.shape == Shape::Integer {
                self.reader.wrong_type(node, field.name, field.shape.expected());
            }
            self.sound = false;
        }
        read
    }

    fn text(&mut self, field: &Field, node: &Node<'_>, pointer: String) -> Option<(Value, Value)> {
        let DeValue::String(text) = node.get_ref() else {
            self.reader.wrong_type(node, field.name, field.shape.expected());
            return None;
        };
        if field.site == crate::credentials::template::Site::Fixed {
            if text.contains(['{', '}']) {
                let message = format!("`{}` takes no claims; it must be written out", field.name);
                self.reader.report(self.reader.problem(&node.span(), "template", message));
                return None;
            }
            return Some((Value::from(text.as_ref()), Value::from(text.as_ref())));
        }
        let template = match Template::parse(text, field.site) {
            Ok(template) => template,
            Err(reason) => {
                self.reader.report(self.reader.problem(&node.span(), "template", format!("`{}`: {reason}", field.name)));
                return None;
            }
        };
        let problems: Vec<Problem> = template.claims().filter_map(|claim| self.unfit(field, node, claim)).collect();
        let fits = problems.is_empty();
        for problem in problems {
            self.reader.report(problem);
        }
        let tried = Value::from(template.filled_with("claim"));
        if template.claims().next().is_some() {
            self.holes.push(Hole { pointer, template });
        }
        fits.then(|| (Value::from(text.as_ref()), tried))
    }

    /// A claim that a template names must be a plain value in the tokens of every issuer of the role.
    fn unfit(&self, field: &Field, node: &Node<'_>, name: &str) -> Option<Problem> {
        let kind = self
            .kinds
            .iter()
            .find(|kind| kind.claim(name).is_none_or(|claim| matches!(claim.ty, Type::Object | Type::Strings)))?;
        let message = format!(
            "`{}` names the claim `{name}`, which tokens of kind `{}` do not carry as a plain value",
            field.name,
            kind.name()
        );
        Some(self.reader.problem(&node.span(), "template", message).nearest(name, kind.claims().iter().map(|claim| &*claim.name)))
    }
}

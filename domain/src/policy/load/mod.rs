//! From files to a sound set, or to everything that is wrong with them.

mod accept;
pub(super) mod cases;
mod conditions;
pub(super) mod issuers;
mod missing;
pub(super) mod owners;
pub(super) mod roles;
mod rules;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use roles::NO_PROJECT_PIN;

use super::problem::{Place, Problem, SourceFile};
use super::read::Reader;
use super::set::{Issuer, PolicySet};
use super::table::Table;
use crate::issuers::issuer::Kind;

/// The tables that a file may have.
pub(super) const TABLES: &[&str] = &["issuer", "role", "invariant", "owner", "case"];

/// What is known of an issuer while the rest is read, even when its table has problems of its own.
#[derive(Debug)]
struct Known {
    kind: Option<Arc<dyn Kind>>,
}

/// What the readers of tables need.
#[derive(Debug)]
struct Context<'a> {
    issuers: &'a BTreeMap<String, Known>,
    /// Issuers that are named and not known.
    missing: RefCell<Vec<missing::Missing>>,
}

pub(super) fn load(files: Vec<SourceFile>) -> Result<PolicySet, Vec<Problem>> {
    let problems = RefCell::new(Vec::new());
    let loaded = read(&files, &problems);
    let mut problems = problems.into_inner();
    if !problems.is_empty() {
        problems.sort();
        problems.dedup();
        return Err(problems);
    }
    let Parts { issuers, mut roles, mut invariants, owners, mut cases } = loaded;
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    invariants.sort_by(|a, b| a.name.cmp(&b.name));
    cases.sort_by(|a, b| (&a.place.file, a.place.line).cmp(&(&b.place.file, b.place.line)));
    for row in roles.iter_mut().flat_map(|role| &mut role.rows) {
        row.issuer_at = issuers.iter().position(|issuer| issuer.name == row.issuer).unwrap_or(usize::MAX);
    }
    let table = Table::new(&issuers, &roles);
    let role_index = roles.iter().enumerate().map(|(at, role)| (role.name.clone(), at)).collect::<HashMap<_, _>>();
    let mut set = PolicySet { files, issuers, roles, invariants, owners, cases, table, role_index, hash: [0; 32] };
    set.hash = super::print::hash(&set);
    Ok(set)
}

/// What the files hold.
#[derive(Debug, Default)]
struct Parts {
    issuers: Vec<Issuer>,
    roles: Vec<super::set::Role>,
    invariants: Vec<super::set::Invariant>,
    owners: Vec<super::set::Owner>,
    cases: Vec<super::set::Case>,
}

fn read(files: &[SourceFile], problems: &RefCell<Vec<Problem>>) -> Parts {
    // Whether a file could not be read, so that names may be missing through no fault of others.
    let mut torn = false;
    let mut documents: Vec<(Reader<'_>, Spanned<DeTable<'_>>)> = Vec::new();
    for file in files {
        let reader = Reader::new(file, problems);
        if files.iter().filter(|other| other.path == file.path).count() > 1 {
            reader.report(reader.problem(&(0..0), "duplicate-file", "the set holds this file more than once"));
        }
        let (document, errors) = DeTable::parse_recoverable(&file.text);
        // What follows a doubled key is read as if it were not there; after other errors nothing can be told.
        let readable = errors.iter().all(|error| error.message().contains("duplicate key"));
        for error in &errors {
            reader.report(reader.problem(&error.span().unwrap_or(0..0), "toml", error.message()));
        }
        if readable {
            reader.only(document.get_ref(), "a policy file", TABLES);
            documents.push((reader, document));
        } else {
            torn = true;
        }
    }
    let mut parts = Parts::default();
    let mut known = BTreeMap::new();
    for (reader, document) in &documents {
        issuers::read(reader, document.get_ref(), &mut known, &mut parts.issuers);
    }
    parts.issuers.sort_by(|a, b| a.name.cmp(&b.name));
    let context = Context { issuers: &known, missing: RefCell::default() };
    for (reader, document) in &documents {
        let document = document.get_ref();
        roles::read(reader, document, &context, &mut parts.roles);
        owners::read(reader, document, &mut parts.owners);
    }
    for (reader, document) in &documents {
        let document = document.get_ref();
        cases::invariants(reader, document, &context, &mut parts.invariants);
        cases::cases(reader, document, &context, &mut parts.cases);
    }
    let report = |problem: Problem| problems.borrow_mut().push(problem);
    if !torn {
        missing::issuers(&context.missing.into_inner(), &known, &report);
        missing::roles(&parts.cases, &parts.roles, &report);
    }
    rules::names(&parts, torn, &report);
    rules::refusing(&parts, &report);
    rules::owners(&parts, &report);
    parts
}

/// The named tables below `[family.…]`.
fn named<'t>(
    reader: &Reader<'_>,
    document: &'t DeTable<'t>,
    family: &str,
) -> Vec<(String, Place, std::ops::Range<usize>, &'t DeTable<'t>)> {
    let Some(node) = document.get(family) else { return Vec::new() };
    let Some(tables) = reader.table(node, family) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, node) in tables {
        let name = key.get_ref().to_string();
        if !is_name(&name) {
            let message = format!("`{}` cannot be a name; expected {NAME}", name.escape_debug());
            reader.report(reader.problem(&key.span(), "name", message));
        }
        if let Some(table) = reader.table(node, &name) {
            found.push((name, reader.place(&key.span()), key.span(), table));
        }
    }
    found
}

/// What [`is_name`] asks for, in words.
pub(super) const NAME: &str = "lower-case letters, digits, - and _, 64 at most, with a letter or a digit first";

/// Whether `text` can name an issuer, a role or a credential.
pub(super) fn is_name(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(sign) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Only used by readers of values that are kept as JSON.
fn json(value: &DeValue<'_>) -> Option<crate::claims::Json> {
    use crate::claims::Json;
    Some(match value {
        DeValue::String(text) => Json::String(text.clone().into_owned()),
        DeValue::Integer(_) => Json::Int(super::read::integer(value)?),
        DeValue::Boolean(value) => Json::Bool(*value),
        DeValue::Array(items) => Json::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => Json::Object(
            table.iter().map(|(key, node)| Some((key.get_ref().to_string(), json(node.get_ref())?))).collect::<Option<_>>()?,
        ),
        DeValue::Float(_) | DeValue::Datetime(_) => return None,
    })
}

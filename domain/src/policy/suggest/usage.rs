//! How the rows of a set are used: which decisions each of them let in, and what the tokens said where it looks.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::claims::Json;
use crate::issuers::issuer::{Class, Type};
use crate::policy::pattern::{Condition, Value};
use crate::policy::set::{Issuer, PolicySet, Row};
use crate::policy::simulate::{Now, now};
use crate::wire::Decision;

/// Different values of one claim in one row; beyond this nothing is said about it.
const MOST: usize = 256;

/// Takes decisions in, one by one.
#[derive(Debug)]
pub struct Usage<'s> {
    pub(super) set: &'s PolicySet,
    rows: BTreeMap<(String, usize), RowUse>,
    /// Rows that may have been used; what they ask of is not known.
    doubtful: BTreeSet<(String, usize)>,
}

/// How one row was used.
#[derive(Debug)]
pub struct RowUse {
    pub(super) count: u64,
    pub(super) last: OffsetDateTime,
    seen: BTreeMap<String, Seen>,
}

/// What the tokens said in one claim.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// As they compare, with how they were written last.
    values: BTreeMap<Value, Value>,
    /// The run in which a value was seen first, until it is seen in another one.
    once: BTreeMap<Value, Option<String>>,
    overflown: bool,
}

impl<'s> Usage<'s> {
    pub fn new(set: &'s PolicySet) -> Self {
        Self { set, rows: BTreeMap::new(), doubtful: BTreeSet::new() }
    }

    /// Notes which row would let the token in, whatever came of it then.
    pub fn take(&mut self, past: &Decision) {
        let set = self.set;
        match now(set, past) {
            Now::Allowed { role, row: at } => {
                let Some(role) = set.role(&role) else { return };
                let Some((row, issuer)) = role.rows.get(at).and_then(|row| Some((row, set.issuer(&row.issuer)?))) else { return };
                let fresh = || RowUse { count: 0, last: past.at, seen: BTreeMap::new() };
                let used = self.rows.entry((role.name.clone(), at)).or_insert_with(fresh);
                used.count += 1;
                used.last = used.last.max(past.at);
                let run = issuer.kind.job(&issuer.url, &past.claims).run;
                for claim in watched(issuer, row) {
                    let value = past.claims.get(claim).and_then(plain);
                    let fold = issuer.kind.claim(claim).is_some_and(|known| folds(row, claim, known));
                    used.seen.entry(claim.to_owned()).or_default().note(value, fold, run.as_ref());
                }
            }
            Now::Unsure(claims) => {
                for role in set.roles() {
                    let rows = role.rows.iter().enumerate();
                    let doubtful = rows.filter(|(_, row)| row.conditions.iter().any(|held| claims.contains(&held.claim)));
                    self.doubtful.extend(doubtful.map(|(at, _)| (role.name.clone(), at)));
                }
            }
            Now::Denied(_) => {}
        }
    }

    pub(super) fn row(&self, role: &str, at: usize) -> Option<&RowUse> {
        self.rows.get(&(role.to_owned(), at))
    }

    pub(super) fn is_doubtful(&self, role: &str, at: usize) -> bool {
        self.doubtful.contains(&(role.to_owned(), at))
    }
}

impl RowUse {
    /// What was seen, when all of it is known.
    pub(super) fn seen(&self, claim: &str) -> Option<&Seen> {
        self.seen.get(claim).filter(|seen| !seen.overflown && !seen.values.is_empty())
    }
}

impl Seen {
    fn note(&mut self, value: Option<Value>, fold: bool, run: Option<&String>) {
        let Some(value) = value else {
            // A token without it: what it says is not the whole.
            self.overflown = true;
            return;
        };
        let key = key(&value, fold);
        if !self.values.contains_key(&key) && self.values.len() >= MOST {
            self.overflown = true;
            return;
        }
        match self.once.get(&key) {
            None if !self.values.contains_key(&key) => {
                self.once.insert(key.clone(), run.cloned());
            }
            Some(first) if run.is_some() && first.as_ref() != run => {
                self.once.remove(&key);
            }
            _ => {}
        }
        self.values.insert(key, value);
    }

    /// Each value, as it was written last.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.values()
    }

    /// Whether one of them equals `value`.
    pub(super) fn holds(&self, value: &Value, fold: bool) -> bool {
        self.values.contains_key(&key(value, fold))
    }

    /// Whether every value was there in more than one run. One that was there once may be one of a series.
    pub(super) fn is_steady(&self) -> bool {
        self.once.is_empty()
    }
}

/// The claims of a row that a suggestion could be about: those it has conditions on, and the ids that could stand there.
fn watched<'a>(issuer: &'a Issuer, row: &'a Row) -> BTreeSet<&'a str> {
    let kind = &issuer.kind;
    let ids = kind.ids().iter().map(|(_, id)| *id);
    let pins =
        kind.claims().iter().filter(|claim| claim.pins_project && claim.class == Class::Immutable && claim.ty == Type::String);
    row.conditions.iter().map(|held| held.claim.as_str()).chain(ids).chain(pins.map(|claim| &*claim.name)).collect()
}

fn folds(row: &Row, claim: &str, known: &crate::issuers::issuer::Claim) -> bool {
    let held: Option<&Condition> = row.conditions.iter().find(|held| held.claim == claim);
    held.map_or(known.case == crate::issuers::issuer::Case::FoldAscii, |held| held.fold)
}

fn key(value: &Value, fold: bool) -> Value {
    match value {
        Value::Text(text) if fold => Value::Text(text.to_ascii_lowercase()),
        other => other.clone(),
    }
}

fn plain(value: &Json) -> Option<Value> {
    match value {
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Int(number) => Some(Value::Int(*number)),
        Json::Bool(value) => Some(Value::Bool(*value)),
        _ => None,
    }
}

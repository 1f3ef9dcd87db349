//! The rows of one issuer by the values that they name, so that rows which no token can satisfy together are not held against
//! each other.

use std::collections::{BTreeMap, HashMap};

use crate::issuers::issuer::Type;
use crate::policy::pattern::{Condition, Value};
use crate::policy::set::{Issuer, PolicySet, Role, Row};

/// A row with the role that it opens.
pub(super) type Way<'s> = (&'s Role, &'s Row);

/// The rows of one issuer, but for those of roles in shadow.
#[derive(Debug)]
pub(super) struct NearRows<'s> {
    ways: Vec<Way<'s>>,
    claims: HashMap<&'s str, ByValue>,
}

#[derive(Debug, Default)]
struct ByValue {
    naming: BTreeMap<Value, Vec<usize>>,
    /// Those that name no value of the claim.
    others: Vec<usize>,
}

impl<'s> NearRows<'s> {
    pub(super) fn new(set: &'s PolicySet, issuer: &Issuer) -> Self {
        let roles = set.roles().iter().filter(|role| !role.shadow);
        let ways = roles.flat_map(|role| role.rows.iter().map(move |row| (role, row)));
        let ways: Vec<Way<'s>> = ways.filter(|(_, row)| row.issuer == issuer.name).collect();
        let mut claims: HashMap<&str, ByValue> = HashMap::new();
        for (at, (_, row)) in ways.iter().enumerate() {
            for condition in &row.conditions {
                for value in named(condition).into_iter().flatten() {
                    let rows = claims.entry(&condition.claim).or_default().naming.entry(folded(value)).or_default();
                    // Two spellings of one name are one.
                    if rows.last() != Some(&at) {
                        rows.push(at);
                    }
                }
            }
        }
        for (claim, by_value) in &mut claims {
            let names =
                |row: &Row| row.conditions.iter().any(|condition| condition.claim == *claim && named(condition).is_some());
            by_value.others = (0..ways.len()).filter(|at| ways.get(*at).is_some_and(|(_, row)| !names(row))).collect();
        }
        Self { ways, claims }
    }

    /// Every row that may take a token which `row` takes, in the order of the set.
    pub(super) fn near(&self, row: &Row) -> Vec<Way<'s>> {
        let found = row.conditions.iter().filter_map(|condition| self.by(condition)).min_by_key(Vec::len);
        match found {
            None => self.ways.clone(),
            Some(mut rows) => {
                rows.sort_unstable();
                rows.dedup();
                rows.into_iter().filter_map(|at| self.ways.get(at).copied()).collect()
            }
        }
    }

    fn by(&self, condition: &Condition) -> Option<Vec<usize>> {
        let by_value = self.claims.get(condition.claim.as_str())?;
        let naming = named(condition)?.iter().filter_map(|value| by_value.naming.get(&folded(value))).flatten();
        Some(naming.chain(&by_value.others).copied().collect())
    }
}

/// The values one of which the claim must have. A list can hold several.
fn named(condition: &Condition) -> Option<&[Value]> {
    condition.pattern.values().filter(|_| condition.ty != Type::Strings)
}

/// Whether case counts may differ between two sets; as if it never did, nothing is overlooked.
fn folded(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.to_ascii_lowercase()),
        other => other.clone(),
    }
}

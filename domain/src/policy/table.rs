//! Which rows can be meant by a token at all.
//!
//! Rows are found by issuer and by the value of the immutable claim that pins their project, so that a decision does not
//! look at the rows of other projects. Rows without a pin are always candidates.

use std::collections::{BTreeSet, HashMap};

use super::pattern::Value;
use super::set::{Issuer, Role};
use crate::claims::Claims;
use crate::issuers::issuer::Type;

/// A row, by the position of its role and its own.
pub(super) type RowAt = (usize, usize);

/// The index of all rows.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By the position of the issuer.
    issuers: Vec<IssuerRows>,
}

#[derive(Debug, Default)]
struct IssuerRows {
    /// By claim, then by the claim's value.
    pinned: HashMap<String, HashMap<String, Vec<RowAt>>>,
    unpinned: Vec<RowAt>,
}

impl Table {
    pub(super) fn new(issuers: &[Issuer], roles: &[Role]) -> Self {
        let mut table = Self { issuers: issuers.iter().map(|_| IssuerRows::default()).collect() };
        for (role_at, role) in roles.iter().enumerate() {
            for (row_at, row) in role.rows.iter().enumerate() {
                let (Some(rows), Some(issuer)) = (table.issuers.get_mut(row.issuer_at), issuers.get(row.issuer_at)) else {
                    continue;
                };
                let mut pins = row.conditions.iter().filter(|condition| {
                    !condition.fold
                        && condition.ty == Type::String
                        && issuer.kind.claim(&condition.claim).is_some_and(|claim| claim.pins_project)
                });
                let texts = |values: &[Value]| -> Option<Vec<String>> {
                    values.iter().map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect()
                };
                let pin = pins.find_map(|pin| Some((pin.claim.clone(), texts(pin.pattern.values()?)?)));
                match pin {
                    Some((claim, values)) => {
                        let by_value = rows.pinned.entry(claim).or_default();
                        for value in values {
                            by_value.entry(value).or_default().push((role_at, row_at));
                        }
                    }
                    None => rows.unpinned.push((role_at, row_at)),
                }
            }
        }
        table
    }

    /// Every row that may match, in the order of roles and rows.
    pub(super) fn candidates(&self, issuer_at: usize, claims: &Claims) -> BTreeSet<RowAt> {
        let Some(rows) = self.issuers.get(issuer_at) else { return BTreeSet::new() };
        let pinned = rows.pinned.iter().filter_map(|(claim, by_value)| by_value.get(claims.text(claim)?)).flatten();
        pinned.chain(&rows.unpinned).copied().collect()
    }
}

//! Runs every lint over a set, and matches what they find against what the set accepts.

use std::collections::BTreeSet;

use super::look::{CredentialView, Found, Over, RowView, rows};
use super::{LINTS, Lint};
use crate::policy::finding::{Finding, Severity};
use crate::policy::problem::{Place, Places};
use crate::policy::set::{Accept, PolicySet};

/// The finding of an acceptance that nothing needs. It is no lint: what would accept it is itself unused.
pub const UNUSED_ACCEPT: &str = "unused-accept";

/// Where a finding may be accepted, nearest table first.
type Accepts<'a> = [&'a [Accept]; 2];

/// Everything that the lints find, accepted or not, in the order of files and lines.
pub(in crate::policy) fn run(set: &PolicySet) -> Vec<Finding> {
    let mut notes = Notes { findings: Vec::new(), used: BTreeSet::new() };
    let all: Vec<RowView<'_>> = set.roles.iter().flat_map(|role| rows(set, role)).collect();
    for lint in LINTS.iter().copied() {
        match lint.look {
            Over::Issuers(look) => {
                for issuer in &set.issuers {
                    notes.add(lint, look(set, issuer), (&issuer.place, &issuer.keys), [&issuer.accept, &[]]);
                }
            }
            Over::Roles(look) => {
                for role in &set.roles {
                    notes.add(lint, look(set, role), (&role.place, &role.keys), [&role.accept, &[]]);
                }
            }
            Over::Rows(look) => {
                for row in &all {
                    notes.row(lint, row, look(row));
                }
            }
            Over::AllRows(look) => {
                for (at, found) in look(&all) {
                    if let Some(row) = all.get(at) {
                        notes.row(lint, row, vec![found]);
                    }
                }
            }
            Over::Credentials(look) => {
                for role in &set.roles {
                    for credential in &role.credentials {
                        let found = look(&CredentialView { set, role, credential });
                        notes.add(lint, found, (&credential.place, &credential.keys), [&credential.accept, &role.accept]);
                    }
                }
            }
            Over::Set(look) => {
                for (place, found) in look(set) {
                    notes.add(lint, vec![found], (&place, &Places::new()), [&[], &[]]);
                }
            }
        }
    }
    let Notes { mut findings, used } = notes;
    findings.extend(accepted(set).filter(|accept| !used.contains(&accept.place)).map(unused));
    findings.sort_by(|a, b| (&a.place, a.severity, a.rule).cmp(&(&b.place, b.severity, b.rule)));
    findings
}

#[derive(Debug)]
struct Notes {
    findings: Vec<Finding>,
    /// The places of acceptances that were needed.
    used: BTreeSet<Place>,
}

impl Notes {
    fn row(&mut self, lint: &'static Lint, row: &RowView<'_>, found: Vec<Found>) {
        self.add(lint, found, (&row.row.place, &row.row.keys), [&row.row.accept, &row.role.accept]);
    }

    fn add(&mut self, lint: &'static Lint, found: Vec<Found>, at: (&Place, &Places), accepts: Accepts<'_>) {
        let accept = accepts.iter().copied().flatten().find(|accept| accept.lint == lint.name);
        for Found { key, message, help, waived } in found {
            self.used.extend(accept.map(|accept| accept.place.clone()));
            self.findings.push(Finding {
                severity: lint.severity,
                rule: lint.name,
                place: key.and_then(|key| at.1.get(&key)).unwrap_or(at.0).clone(),
                message,
                help: Some(help.unwrap_or_else(|| lint.remedy.to_owned())),
                accepted: accept.map(|accept| accept.reason.clone()).or(waived),
            });
        }
    }
}

fn accepted(set: &PolicySet) -> impl Iterator<Item = &Accept> {
    let issuers = set.issuers.iter().flat_map(|issuer| &issuer.accept);
    let roles = set.roles.iter().flat_map(|role| {
        let rows = role.rows.iter().flat_map(|row| &row.accept);
        role.accept.iter().chain(rows).chain(role.credentials.iter().flat_map(|credential| &credential.accept))
    });
    issuers.chain(roles)
}

fn unused(accept: &Accept) -> Finding {
    Finding {
        severity: Severity::Warning,
        rule: UNUSED_ACCEPT,
        place: accept.place.clone(),
        message: format!("`{}` is accepted here, but nothing is found", accept.lint),
        help: Some("take it out, so that it hides nothing later".to_owned()),
        accepted: None,
    }
}

//! The records of the log, one function for each thing that can happen. They are written by the caller, in the same
//! transaction as the change they tell of.

use std::collections::BTreeMap;

use domain::audit::{CLAIM, Kind, Personal, Record};
use domain::claims::{Claims, Json};
use domain::issuers::issuer::{JobView, Kind as IssuerKind, REGISTERED};
use domain::refusal::Code;
use uuid::Uuid;

use super::asked::Asked;
use super::shadowed::Shadowed;
use crate::system::{NoEntropy, System};

/// Who a record is about and what decided.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub decision: Uuid,
    pub session: Option<Uuid>,
    pub issuer: &'a str,
    /// Tells which claims name a person; without it, all are taken to.
    pub kind: Option<&'a dyn IssuerKind>,
    pub claims: &'a Claims,
    pub job: &'a JobView,
    /// The key that signed the token and the age of its key set in seconds.
    pub key: Option<(&'a str, u64)>,
    pub policy: [u8; 32],
    pub role: Option<&'a str>,
    pub row: Option<usize>,
    pub asked: Asked<'a>,
    /// What the set that looks on would have said, where it differs.
    pub shadow: Option<&'a Shadowed>,
}

/// A decision that was allowed, at one of its stages, with facts about the credentials.
pub fn decided(system: &System, kind: Kind, about: &About<'_>, facts: &BTreeMap<String, String>) -> Result<Record, NoEntropy> {
    let mut record = subject(system, kind, about)?;
    record.fields.extend(facts.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))));
    Ok(record)
}

/// A decision that was refused, or whose credentials could not be made.
pub fn refused(
    system: &System,
    kind: Kind,
    about: &About<'_>,
    code: Code,
    facts: &BTreeMap<String, String>,
) -> Result<Record, NoEntropy> {
    let mut record = decided(system, kind, about, facts)?;
    record.code = Some(code.as_str().to_owned());
    Ok(record)
}

/// Something that happened to a lease or a session later on.
pub fn happened(
    system: &System,
    kind: Kind,
    decision: Uuid,
    session: Uuid,
    lease: Option<Uuid>,
    role: &str,
) -> Result<Record, NoEntropy> {
    let mut record = bare(system, kind, decision)?;
    record.session_id = Some(session);
    record.lease_id = lease;
    record.role = Some(role.to_owned());
    Ok(record)
}

/// An operator's act on `object`.
pub fn act(system: &System, kind: Kind, about: &About<'_>, object: &str) -> Result<Record, NoEntropy> {
    Ok(subject(system, kind, about)?.field("object", object))
}

/// Something the broker itself did.
pub fn own(system: &System, kind: Kind) -> Result<Record, NoEntropy> {
    let decision = system.row_id()?;
    bare(system, kind, decision)
}

fn bare(system: &System, kind: Kind, decision: Uuid) -> Result<Record, NoEntropy> {
    Ok(Record::new(system.row_id()?, system.now(), kind, decision))
}

fn subject(system: &System, kind: Kind, about: &About<'_>) -> Result<Record, NoEntropy> {
    let mut record = about.asked.write(bare(system, kind, about.decision)?);
    if let Some(shadow) = about.shadow {
        record = shadow.write(record);
    }
    record.session_id = about.session;
    record.issuer = Some(about.issuer.to_owned());
    record.project.clone_from(&about.job.project);
    record.project_name.clone_from(&about.job.project_name);
    record.role = about.role.map(str::to_owned);
    record.policy_hash = Some(about.policy);
    record.row = about.row.and_then(|row| u32::try_from(row).ok());
    if let Some((key, age)) = about.key {
        record = record.field("key_id", key).field("keys_age", i64::try_from(age).unwrap_or(i64::MAX));
    }
    if let Some(url) = &about.job.run_url {
        record = record.field("run_url", url.as_str());
    }
    for (name, value) in about.claims.object().iter() {
        let clear = about.kind.is_some_and(|kind| kind.is_public(name));
        let registered = REGISTERED.iter().any(|(registered, _)| *registered == name);
        let field = [CLAIM, name].concat();
        if clear || registered {
            record.fields.insert(field, value.clone());
        } else {
            record.personal.insert(field, Personal::new(system.random()?, value.clone()));
        }
    }
    Ok(record)
}

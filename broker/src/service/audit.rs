//! Reading the audit trail; reading it is remembered like any other act of an operator.

use std::sync::Arc;

use domain::audit::Kind;
use domain::refusal::{Code, Refusal};
use domain::wire::{AuditEntry, AuditQuery};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::log;
use crate::store::audit::Stored;

/// The longest text that a condition compares with; no claim is longer.
const LONGEST: usize = 1024;

/// Lists records for operators.
#[derive(Clone, Debug)]
pub struct Audit {
    rooms: Arc<Rooms>,
}

impl Audit {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// The records that `query` asks for, newest first. Needs the right `audit.read`; that it was asked for is a record too.
    pub async fn list(&self, holder: &Holder, query: &AuditQuery, decision: Uuid) -> Result<Vec<AuditEntry>, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "audit.read", None, decision).await?;
        let AuditQuery { kind, issuer, project, role, code, about, before, limit: _ } = query;
        let conditions = [
            ("kind", kind),
            ("issuer", issuer),
            ("project", project),
            ("role", role),
            ("code", code),
            ("about", about),
            ("before", before),
        ];
        let conditions = conditions.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let mut record =
            log::act(&rooms.system, Kind::AuditRead, &holder.about(decision, rooms.policies.active().hash()), "audit")?;
        for (name, value) in conditions {
            if value.len() > LONGEST || value.contains(char::is_control) {
                let hint = format!("{name}: at most {LONGEST} bytes without control characters");
                return Err(Refusal::new(Code::RequestMalformed).hint(hint).into());
            }
            record = record.field(format!("query.{name}"), value);
        }
        let found = rooms.store.audit(query).await?;
        rooms.store.remember(record).await.map_err(Error::from_write)?;
        Ok(found.iter().map(Stored::entry).collect())
    }
}

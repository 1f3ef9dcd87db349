//! Reading the audit trail; reading it is remembered like any other act of an operator.

use std::sync::Arc;

use domain::wire::{AuditEntry, AuditQuery};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::store::audit::Stored;

/// Lists records for operators.
#[derive(Clone, Debug)]
pub struct Audit {
    rooms: Arc<Rooms>,
}

impl Audit {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// The records that `query` asks for, newest first. The caller has checked the right.
    pub async fn list(&self, _holder: &Holder, query: &AuditQuery, _decision: Uuid) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.rooms.store.audit(query).await?.iter().map(Stored::entry).collect())
    }
}

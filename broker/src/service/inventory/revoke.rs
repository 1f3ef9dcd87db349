//! Having many leases taken back. They are marked in the database, and the workers of every replica do the rest on their
//! targets' lanes; whoever asked follows what becomes of them.

use std::time::{Duration, Instant};

use domain::audit::{Kind, Record};
use domain::lease::State;
use domain::refusal::{Code, Refusal};
use domain::wire::RevokeRequest;
use uuid::Uuid;

use super::{Found, Inventory, id_of, wanted};
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::leases::Wanted;
use crate::store::revocations::Share;

/// Leases marked in one transaction: short enough that nobody waits for it.
const BATCH: i64 = 500;
/// How long one request goes on; the rest is for the next one, or for the workers.
pub(super) const WHILE: Duration = Duration::from_secs(5);
/// Ended leases are counted no further.
const GONE: i64 = 10_000;
/// Leases that live on, of which one answer tells.
const TOLD: i64 = 100;

/// What one request asked back.
#[derive(Debug)]
pub struct Asked {
    pub revocation: Uuid,
    pub leases: u64,
    pub already_gone: u64,
    /// Where the next request goes on.
    pub after: Option<Uuid>,
}

impl Inventory {
    /// Has every lease taken back that meets the filter, which says something. Needs the right `leases.revoke`.
    pub async fn revoke(&self, holder: &Holder, request: &RevokeRequest, decision: Uuid) -> Result<Asked, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "leases.revoke", None, decision).await?;
        if request.filter.is_empty() {
            return Err(Refusal::new(Code::RequestMalformed).hint("filter: name at least one condition").into());
        }
        let wanted = wanted(&request.filter)?;
        let revocation = request.revocation.as_deref().map(|id| id_of("revocation", id)).transpose()?.unwrap_or(decision);
        let after = request.after.as_deref().map(|id| id_of("after", id)).transpose()?;
        let already_gone = if after.is_none() { rooms.store.count_gone(&wanted, GONE).await? } else { 0 };
        let act = self.act(holder, Kind::LeaseRevocation, &request.filter, decision)?;
        let act = act.field("revocation", revocation.to_string().as_str());
        let (leases, next) = self.mark(&act, revocation, &wanted, after, Instant::now() + WHILE).await?;
        if leases == 0 && after.is_none() {
            self.remember(act.field("leases", 0)).await?;
        }
        Ok(Asked { revocation, leases, already_gone, after: next })
    }

    /// Marks what is wanted after `after`, a batch and a record like `act` at a time, until that moment. How many, and where
    /// to go on.
    pub(super) async fn mark(
        &self,
        act: &Record,
        revocation: Uuid,
        wanted: &Wanted,
        mut after: Option<Uuid>,
        until: Instant,
    ) -> Result<(u64, Option<Uuid>), Error> {
        let rooms = &self.rooms;
        let mut leases = 0;
        loop {
            let record = Record { id: rooms.system.row_id()?, ..act.clone() };
            let counted = |count: usize| record.field("leases", i64::try_from(count).unwrap_or(i64::MAX));
            let batch = rooms.store.revoke_batch(revocation, wanted, after, BATCH, rooms.system.now(), counted).await?;
            leases += batch.marked.len() as u64;
            after = batch.after;
            rooms.leases.wake();
            if after.is_none() || Instant::now() >= until {
                return Ok((leases, after));
            }
        }
    }

    /// How a revocation stands, and the first of those that live on. Needs the right `leases.revoke`, or the one to stop exchanges.
    pub async fn revocation(&self, holder: &Holder, id: &str, decision: Uuid) -> Result<(Vec<Share>, Vec<Found>), Error> {
        let rooms = &self.rooms;
        if !domain::credentials::operator::allows(&holder.rights, "exchanges.stop", None) {
            holder.require(rooms, "leases.revoke", None, decision).await?;
        }
        let id = id.parse().map_err(|_| Code::NotFound)?;
        let shares = rooms.store.revocation(id).await?;
        let living = Wanted { revocation: Some(id), state: Some(State::Passive), ..Wanted::default() };
        let passive = shares.iter().any(|share| share.state == State::Passive);
        let living = if passive { rooms.store.find_leases(&living, None, TOLD).await? } else { Vec::new() };
        Ok((shares, living))
    }
}

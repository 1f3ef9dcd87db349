//! Leases in operators' hands: looking at them, having them taken back, letting them last, finding out whose something is,
//! and stopping exchanges. Every verb needs its right, and every act is remembered.

use std::sync::Arc;

use domain::audit::{Kind, Record};
use domain::refusal::{Code, Refusal};
use domain::wire::{LeaseFilter, LeaseSearch};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::log;
use crate::store::leases::Wanted;
pub use crate::store::leases::{Found, Whose};
pub use crate::store::revocations::Share;
pub use crate::store::stops::Stop;

mod find;
mod kill;
mod renew;
mod revoke;

pub use kill::Killed;
pub use renew::Renewed;

/// The longest text that a condition compares with; no claim is longer.
const LONGEST: usize = 1024;
/// Leases in one page, unless told and at most.
const PAGE: (u32, u32) = (100, 1000);

/// The verbs on leases for operators, and renewal for holders too.
#[derive(Clone, Debug)]
pub struct Inventory {
    rooms: Arc<Rooms>,
}

/// One page of leases.
#[derive(Debug)]
pub struct Page {
    pub leases: Vec<Found>,
    /// The last lease of the page, where the list goes on.
    pub next: Option<Uuid>,
}

impl Inventory {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Leases that meet the filter, newest first. Needs the right `leases.read`.
    pub async fn list(&self, holder: &Holder, search: &LeaseSearch, decision: Uuid) -> Result<Page, Error> {
        holder.require(&self.rooms, "leases.read", None, decision).await?;
        let wanted = wanted(&search.filter)?;
        let after = search.after.as_deref().map(|id| id_of("after", id)).transpose()?;
        let limit = search.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let leases = self.rooms.store.find_leases(&wanted, after, i64::from(limit)).await?;
        let full = u32::try_from(leases.len()) == Ok(limit);
        let next = leases.last().map(|found| found.lease.id).filter(|_| full);
        self.remember(self.act(holder, Kind::LeaseListed, &search.filter, decision)?).await?;
        Ok(Page { leases, next })
    }

    /// One lease. Needs the right `leases.read`.
    pub async fn show(&self, holder: &Holder, id: &str, decision: Uuid) -> Result<Found, Error> {
        let filter = LeaseFilter { lease: Some(id.to_owned()), ..LeaseFilter::default() };
        let page = self.list(holder, &LeaseSearch { filter, ..LeaseSearch::default() }, decision).await;
        let page = page.map_err(|error| match error {
            // What is no id names no lease.
            Error::Refused(refusal) if refusal.code == Code::RequestMalformed => Code::LeaseUnknown.into(),
            error => error,
        })?;
        page.leases.into_iter().next().ok_or_else(|| Code::LeaseUnknown.into())
    }

    fn act(&self, holder: &Holder, kind: Kind, filter: &LeaseFilter, decision: Uuid) -> Result<Record, Error> {
        let about = holder.about(decision, self.rooms.policies.active().hash());
        let record = log::act(&self.rooms.system, kind, &about, "leases")?;
        let conditions = filter.conditions().into_iter();
        Ok(conditions.fold(record, |record, (name, value)| record.field(format!("filter.{name}"), value.as_str())))
    }

    async fn remember(&self, record: Record) -> Result<(), Error> {
        self.rooms.store.remember(record).await.map_err(Error::from_write)?;
        Ok(())
    }
}

/// The filter with its ids read. A condition that nothing could meet is the caller's mistake.
fn wanted(filter: &LeaseFilter) -> Result<Wanted, Refusal> {
    for (name, value) in filter.conditions() {
        plain(name, &value)?;
    }
    Ok(Wanted {
        lease: filter.lease.as_deref().map(|id| id_of("lease", id)).transpose()?,
        session: filter.session.as_deref().map(|id| id_of("session", id)).transpose()?,
        job: filter.job.clone(),
        run: filter.run.clone(),
        repository: filter.repository.clone(),
        role: filter.role.clone(),
        issuer: filter.issuer.clone(),
        engine: filter.engine.clone(),
        connection: filter.connection.clone(),
        state: filter.state,
        issued_before: filter.issued_before,
        ..Wanted::default()
    })
}

fn plain(name: &str, value: &str) -> Result<(), Refusal> {
    if value.is_empty() || value.len() > LONGEST || value.contains(char::is_control) {
        let hint = format!("{name}: 1 to {LONGEST} bytes without control characters");
        return Err(Refusal::new(Code::RequestMalformed).hint(hint));
    }
    Ok(())
}

fn id_of(name: &str, text: &str) -> Result<Uuid, Refusal> {
    text.parse().map_err(|_| Refusal::new(Code::RequestMalformed).hint(format!("{name}: expected an id such as a list shows")))
}

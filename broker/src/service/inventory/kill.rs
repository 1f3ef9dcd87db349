//! The kill switch: exchanges are stopped first, then what came of earlier ones is ended, then it is told what was given.

use std::time::{Duration, Instant};

use domain::audit::{Kind, Record};
use domain::claims::Json;
use domain::refusal::{Code, Refusal};
use domain::wire::{GivenEntry, GivenSearch, KillRequest, StopFilter};
use uuid::Uuid;

use super::revoke::WHILE;
use super::{Inventory, id_of, plain, wanted};
use crate::audit::log;
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::audit::Stored;
use crate::store::stops::Stop;

/// Records of what was given, in one page.
const PAGE: i64 = 500;
/// Records of the audit trail that are looked through in one statement, and how long one request goes on with it.
const WINDOW: i64 = 20_000;
const READING: Duration = Duration::from_secs(2);
const CREDENTIAL: &str = "credential.";

/// A stop that was just put in place, and what it ended.
#[derive(Debug)]
pub struct Killed {
    pub stop: Stop,
    pub sessions: u64,
    pub leases: u64,
}

/// What was given, newest first, and where the list goes on.
#[derive(Debug)]
pub struct Given {
    pub entries: Vec<GivenEntry>,
    pub next: Option<Uuid>,
}

impl Inventory {
    /// Stops exchanges that meet the filter, which says something; ends the sessions that came of earlier ones, but for the
    /// operator's own, and has everything taken back that is out. Needs the right `exchanges.stop`.
    pub async fn kill(&self, holder: &Holder, request: &KillRequest, decision: Uuid) -> Result<Killed, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "exchanges.stop", None, decision).await?;
        plain("reason", &request.reason)?;
        // Tokens from the time to come there are none, and what is made from now on is not meant.
        let (given, now) = (conditions(&request.filter)?, rooms.system.now());
        let stop = Stop {
            id: decision,
            reason: request.reason.clone(),
            spared: Some(holder.session.id),
            created_at: now,
            issued_before: given.issued_before.map(|before| before.min(now)),
            ..given
        };
        let record = self.act(holder, Kind::ExchangeStopped, &request.filter.leases(), decision)?;
        rooms.store.stop(&stop, &record.clone().field("reason", request.reason.as_str())).await?;
        rooms.stops.follow().await?;
        let until = Instant::now() + WHILE;
        // All leases, those that ended sessions left behind too: credentials that nobody can take back, and those still going.
        let act = self.act(holder, Kind::LeaseRevocation, &request.filter.leases(), decision)?;
        let act = act.field("revocation", decision.to_string().as_str());
        self.mark(&act, stop.id, &wanted(&request.filter.leases())?, None, until).await?;
        // What is left when the time is over, the workers of every replica end.
        let sessions = rooms.stops.sweep(&stop, Some(until)).await?;
        rooms.leases.wake();
        let leases = rooms.store.revocation(stop.id).await?.iter().map(|share| share.leases).sum();
        Ok(Killed { stop, sessions, leases })
    }

    /// Every stop that holds. Needs the right `exchanges.stop`.
    pub async fn stops(&self, holder: &Holder, decision: Uuid) -> Result<Vec<Stop>, Error> {
        holder.require(&self.rooms, "exchanges.stop", None, decision).await?;
        Ok(kills(self.rooms.store.stops().await?))
    }

    /// Lets exchanges through again. What was ended stays so. Needs the right `exchanges.stop`.
    pub async fn lift(&self, holder: &Holder, id: &str, decision: Uuid) -> Result<Vec<Stop>, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "exchanges.stop", None, decision).await?;
        let stop: Uuid = id.parse().map_err(|_| Code::NotFound)?;
        let about = holder.about(decision, rooms.policies.active().hash());
        let record = log::act(&rooms.system, Kind::ExchangeAllowedAgain, &about, &stop.to_string())?;
        let stands = rooms.store.stops().await?.iter().any(|held| held.id == stop && !held.switch);
        if !stands || !rooms.store.lift_stop(stop, rooms.system.now(), &record).await? {
            return Err(Refusal::new(Code::NotFound).hint("there is no such stop, or it was lifted before").into());
        }
        rooms.stops.follow().await?;
        Ok(kills(rooms.store.stops().await?))
    }

    /// Every credential and stored secret that was handed out to whom the filter describes. Needs the right `exchanges.stop`.
    pub async fn given(&self, holder: &Holder, search: &GivenSearch, decision: Uuid) -> Result<Given, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "exchanges.stop", None, decision).await?;
        let wanted = conditions(&search.filter)?;
        let after = search.after.as_deref().map(|id| id_of("after", id)).transpose()?;
        let (mut records, mut next, until) = (Vec::new(), after, Instant::now() + READING);
        let mut room = PAGE;
        loop {
            let found = rooms.store.handed_out(&wanted, next, room, WINDOW).await?;
            records.extend(found.records);
            next = found.next;
            room = PAGE.saturating_sub(i64::try_from(records.len()).unwrap_or(PAGE));
            if next.is_none() || room == 0 || Instant::now() >= until {
                break;
            }
        }
        let about = holder.about(decision, rooms.policies.active().hash());
        self.remember(log::act(&rooms.system, Kind::AuditRead, &about, "given")?).await?;
        let engine = wanted.engine.as_deref();
        let entries = records.iter().flat_map(|Stored { record, .. }| entries(record));
        let entries = entries.filter(|entry| engine.is_none_or(|engine| entry.engine == engine)).collect();
        Ok(Given { entries, next })
    }
}

/// Without what is switched off by name, which has a list of its own.
fn kills(mut stops: Vec<Stop>) -> Vec<Stop> {
    stops.retain(|stop| !stop.switch);
    stops
}

/// The conditions of a stop. The rest of it says nothing.
fn conditions(filter: &StopFilter) -> Result<Stop, Refusal> {
    if filter.is_empty() {
        return Err(Refusal::new(Code::RequestMalformed).hint("filter: name at least one condition"));
    }
    for (name, value) in filter.leases().conditions() {
        plain(name, &value)?;
    }
    let StopFilter { repository, run, role, issuer, engine, before } = filter.clone();
    Ok(Stop {
        id: Uuid::nil(),
        repository,
        run,
        role,
        issuer,
        engine,
        issued_before: before,
        reason: String::new(),
        spared: None,
        switch: false,
        created_at: time::OffsetDateTime::UNIX_EPOCH,
    })
}

/// What a record says was handed out.
fn entries(record: &Record) -> Vec<GivenEntry> {
    let text = |name: &str| record.fields.get(name).and_then(Json::as_str).map(str::to_owned);
    let entry = |credential: Option<&str>, engine: String, lease_id, what| GivenEntry {
        at: record.at,
        session_id: record.session_id.map(|id| id.to_string()),
        project: record.project_name.clone().or_else(|| record.project.clone()),
        role: record.role.clone(),
        credential: credential.map(str::to_owned),
        engine,
        lease_id,
        what,
    };
    if record.kind == Kind::SecretRead {
        let versions = text("versions").map_or_else(String::new, |versions| format!("@{versions}"));
        return vec![entry(None, "kv".to_owned(), None, format!("{}{versions}", text("object").unwrap_or_default()))];
    }
    let names = record.fields.keys().filter_map(|name| name.strip_prefix(CREDENTIAL)?.strip_suffix(".engine"));
    names
        .map(|name| {
            let fact = |fact: &str| text(&format!("{CREDENTIAL}{name}.{fact}"));
            let secret = fact("path")
                .map(|path| format!("{}/{path}@{}", fact("mount").unwrap_or_default(), fact("version").unwrap_or_default()));
            let what = secret.or_else(|| fact("access_key_id")).or_else(|| fact("upstream")).unwrap_or_default();
            entry(Some(name), fact("engine").unwrap_or_default(), fact("lease"), what)
        })
        .collect()
}

//! Comparing the leases with what the targets really have, both ways.
//!
//! A login of ours without an open lease is a *stray*: shut when it is seen, dropped a while later. An active lease without a
//! login is *lost*: it is taken back like any other, by which a worker makes sure that nothing is left. A login whose lease must
//! have a row and has none says that the database went back in time; then everything waits (`service/hold`).
//!
//! The row of a lease is committed before its login is made. So the target is looked at first and the rows are read after it:
//! no create on its way is taken for a stray.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::audit::Kind;
use domain::refusal::{Code, Refusal};
use domain::wire::{HoldAnswer, LostAnswer, ReconcileAnswer, ReconcileRequest, ResumeAnswer, TargetAnswer};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Error;
use super::hold::Holds;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::log;
use crate::engines::engine::Found;
use crate::store::Connection;
use crate::store::holds::Hold;
use crate::store::strays::Lost;

mod stray;

/// How long a look at one target may take when an operator waits for it, and how long all the rest may.
const LOOK: Duration = Duration::from_secs(4);
const ACTS: Duration = Duration::from_secs(7);
/// How long the step may go on that was begun before the time was up.
const LAST_STEP: Duration = Duration::from_secs(2);
/// How long a worker's run may take for one target.
const WORK: Duration = Duration::from_mins(2);
/// How long a start waits for the targets before leases are taken back.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// A lease of this age has its login, if it ever had one: longer than the create deadline.
const SETTLED: Duration = Duration::from_secs(30);
/// Leases marked as lost, and strays noted, in one run.
const AT_ONCE: i64 = 500;
/// When so many logins are gone at once, and more than half of all, it is rather the target that is another one.
const DOUBTFUL: i64 = 10;

/// Who looks, and what may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing.
    Look,
    /// What is certain.
    Work,
    /// What an operator has looked at.
    Told,
}

/// Compares leases and targets.
#[derive(Clone, Debug)]
pub struct Reconcile {
    rooms: Arc<Rooms>,
    pub holds: Holds,
    /// How often each target is compared.
    every: Duration,
    /// How long a stray is shut before it is dropped.
    grace: Duration,
}

impl Reconcile {
    pub const fn new(rooms: Arc<Rooms>, holds: Holds, every: Duration, grace: Duration) -> Self {
        Self { rooms, holds, every, grace }
    }

    /// Before a process takes anything back: does any target know of leases that the database has forgotten? A target that does
    /// not answer keeps nobody waiting for long.
    pub async fn first_look(&self) {
        let until = Instant::now() + FIRST_LOOK;
        let names = self.rooms.store.connections().names();
        if tokio::time::timeout_at(until, self.each(&names, Act::Look, until, true)).await.is_err() {
            tracing::warn!("not every target could be looked at; leases are taken back all the same");
        }
    }

    /// Compares the targets whose turn it is.
    pub async fn run_due(&self) -> Result<(), Error> {
        let (store, now) = (&self.rooms.store, self.rooms.system.now());
        if self.rooms.leases.is_paused() {
            return Ok(());
        }
        let mut due = Vec::new();
        for name in store.connections().names() {
            if store.claim_reconciliation(&name, now, now + self.every).await? {
                due.push(name);
            }
        }
        for target in self.each(&due, Act::Work, Instant::now() + WORK, true).await {
            if let Some(failure) = &target.failure {
                tracing::warn!(connection = target.connection, failure, "a target could not be compared with its leases");
            }
        }
        Ok(())
    }

    /// Compares now, for an operator. Needs the right `leases.reconcile`.
    pub async fn now(&self, holder: &Holder, ask: ReconcileRequest, decision: Uuid) -> Result<ReconcileAnswer, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "leases.reconcile", None, decision).await?;
        let known = rooms.store.connections().names();
        let names = match ask.connection {
            None => known,
            Some(name) if known.contains(&name) => vec![name],
            Some(_) => return Err(Refusal::new(Code::NotFound).hint("there is no such connection").into()),
        };
        let about = holder.about(decision, rooms.policies.active().hash());
        let object = if let [one] = names.as_slice() { one } else { "connections" };
        let record = log::act(&rooms.system, Kind::LeasesReconciled, &about, object)?.field("dry_run", ask.dry_run);
        rooms.store.remember(record).await.map_err(Error::from_write)?;
        let act = if ask.dry_run { Act::Look } else { Act::Told };
        let targets = self.each(&names, act, Instant::now() + ACTS, !ask.dry_run).await;
        Ok(ReconcileAnswer { dry_run: ask.dry_run, hold: self.holds.current().await?.map(told), targets })
    }

    /// Lets taking back go on after a hold. Needs the right `leases.reconcile`.
    pub async fn resume(&self, holder: &Holder, decision: Uuid) -> Result<ResumeAnswer, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "leases.reconcile", None, decision).await?;
        let mut tx = rooms.store.begin().await?;
        let Some(hold) = tx.lift_hold().await? else { return Ok(ResumeAnswer { hold: None }) };
        let about = holder.about(decision, rooms.policies.active().hash());
        tx.remember(&[log::act(&rooms.system, Kind::HoldLifted, &about, "hold")?.field("reason", hold.reason.as_str())]).await?;
        tx.commit().await?;
        rooms.leases.wake();
        Ok(ResumeAnswer { hold: Some(told(hold)) })
    }

    /// All of these at the same time, so that a target that does not answer delays no other.
    async fn each(&self, names: &[String], act: Act, until: Instant, may_hold: bool) -> Vec<TargetAnswer> {
        let mut looks = JoinSet::new();
        for connection in names.iter().filter_map(|name| self.rooms.store.connections().get(name)) {
            let this = self.clone();
            looks.spawn(async move {
                let mut answer = TargetAnswer {
                    connection: connection.name.clone(),
                    engine: connection.engine.clone(),
                    ..TargetAnswer::default()
                };
                if let Err(error) = this.one(&connection, act, until, may_hold, &mut answer).await {
                    tracing::warn!(connection = connection.name, ?error, "a target could not be compared with its leases");
                    answer.failure = Some(error.public().to_string());
                }
                answer
            });
        }
        let mut answers = looks.join_all().await;
        answers.sort_by(|one, other| one.connection.cmp(&other.connection));
        answers
    }

    async fn one(
        &self,
        connection: &Connection,
        act: Act,
        until: Instant,
        may_hold: bool,
        answer: &mut TargetAnswer,
    ) -> Result<(), Error> {
        let (rooms, name) = (&self.rooms, connection.name.as_str());
        let looked_at = rooms.system.now();
        let patience = if act == Act::Work { until } else { until.min(Instant::now() + LOOK) };
        let found = match tokio::time::timeout_at(patience, rooms.engines.list(&rooms.bench, connection)).await {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) => {
                answer.failure = Some("its engine cannot tell what the target has".to_owned());
                return Ok(());
            }
            Ok(Err(error)) => {
                answer.failure = Some(error.to_string());
                return Ok(());
            }
            Err(_) => {
                answer.failure = Some("the target did not answer in time".to_owned());
                return Ok(());
            }
        };
        answer.logins = Some(u64::try_from(found.len()).unwrap_or(u64::MAX));
        let strays = self.strays(name, &found, looked_at).await?;
        let forgotten = strays.iter().filter(|stray| stray.is_new && stray.is_forgotten(looked_at)).count();
        if forgotten > 0 && may_hold {
            let reason = format!(
                "connection {name} has {forgotten} logins of leases that the database has forgotten: it was brought back from a backup, or is a copy"
            );
            self.holds.begin(&reason).await?;
        }
        let held = rooms.store.hold().await?.is_some();
        let acts = act != Act::Look && !rooms.leases.is_paused();
        let noted = strays.iter().filter(|stray| stray.is_new).map(|stray| stray.noted(forgotten > 0 || held, looked_at));
        let noted: Vec<_> = noted.collect();
        if acts || (forgotten > 0 && may_hold) {
            rooms.store.note_strays(name, &noted).await?;
            let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
            rooms.store.forget_strays(name, &names).await?;
        }
        self.lost(name, &found, looked_at, if acts && !held { act } else { Act::Look }, answer).await?;
        for stray in &strays {
            let step = self.step(connection, stray, acts && !held && Instant::now() < until);
            let Ok(step) = tokio::time::timeout_at(until + LAST_STEP, step).await else {
                answer.failure = Some("the target did not answer in time".to_owned());
                break;
            };
            answer.strays.push(step?);
        }
        Ok(())
    }

    /// Leases whose login is gone.
    async fn lost(
        &self,
        connection: &str,
        found: &[Found],
        looked_at: OffsetDateTime,
        act: Act,
        answer: &mut TargetAnswer,
    ) -> Result<(), Error> {
        let rooms = &self.rooms;
        let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
        let compared = rooms.store.compare(connection, &names, looked_at - SETTLED, AT_ONCE).await?;
        answer.lost_count = compared.lost_count.unsigned_abs();
        let row =
            |lost: &Lost| LostAnswer { lease_id: lost.id.to_string(), role: lost.role.clone(), name: lost.upstream.clone() };
        answer.lost = compared.lost.iter().map(row).collect();
        if compared.lost.is_empty() || act == Act::Look {
            return Ok(());
        }
        rooms.metrics.alarm("lease_lost");
        if act == Act::Work && compared.lost_count > DOUBTFUL && compared.lost_count * 2 > compared.active {
            let lost = compared.lost_count;
            answer.failure = Some(format!("{lost} logins are gone at once; an operator has to look: `daypass lease reconcile`"));
            return Ok(());
        }
        let ids: Vec<Uuid> = compared.lost.iter().map(|lost| lost.id).collect();
        let mut tx = rooms.store.begin().await?;
        let marked = tx.mark_lost(&ids, "the login is gone from its target", rooms.system.now()).await?;
        let records = compared.lost.iter().filter(|lost| marked.contains(&lost.id)).map(|lost| {
            let decision = rooms.system.row_id()?;
            let record = log::happened(&rooms.system, Kind::LeaseLost, decision, lost.session_id, Some(lost.id), &lost.role)?;
            Ok::<_, Error>(record.field("connection", connection).field("upstream", lost.upstream.as_str()))
        });
        tx.remember(&records.collect::<Result<Vec<_>, _>>()?).await?;
        tx.commit().await?;
        tracing::error!(connection, leases = marked.len(), "logins of active leases are gone from their target");
        rooms.leases.wake();
        Ok(())
    }

    /// The logins that no open lease accounts for, with what is known of them.
    async fn strays(&self, connection: &str, found: &[Found], now: OffsetDateTime) -> Result<Vec<stray::Seen>, Error> {
        let store = &self.rooms.store;
        let ids: Vec<Uuid> = found.iter().filter_map(|found| found.lease).collect();
        let standing: HashMap<Uuid, _> =
            store.standing(&ids).await?.into_iter().map(|(id, state, upstream)| (id, (state, upstream))).collect();
        let mut known: HashMap<String, _> =
            store.strays(connection).await?.into_iter().map(|stray| (stray.name.clone(), stray)).collect();
        let seen = found.iter().filter_map(|found| {
            let row = found.lease.and_then(|lease| standing.get(&lease));
            let why = match row {
                Some((state, Some(upstream))) if *upstream == found.name => (!state.is_open()).then_some(stray::Why::Ended)?,
                _ => stray::Why::Unknown,
            };
            Some(stray::Seen::new(found, why, known.remove(&found.name), now))
        });
        Ok(seen.take(usize::try_from(AT_ONCE).unwrap_or(usize::MAX)).collect())
    }
}

fn told(hold: Hold) -> HoldAnswer {
    HoldAnswer { since: hold.since, reason: hold.reason }
}

//! Comparing the leases with what the targets really have, both ways.
//!
//! A login of ours without an open lease is a *stray*: shut when it is seen, dropped a while later. An active lease without a
//! login is *lost*: it is taken back like any other, by which a worker makes sure that nothing is left. A login whose lease must
//! have a row and has none, or that lives longer than its lease was ever renewed to, says that the database went back in time; then
//! everything waits (`service/hold`).
//!
//! The row of a lease is committed before its login is made. So the target is looked at first and the rows are read after it:
//! no create on its way is taken for a stray.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::audit::Kind;
use domain::claims::Json;
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
use crate::engines::engine::{EngineError, Found};
use crate::store::Connection;
use crate::store::holds::Hold;
use crate::store::strays::{Lost, Standing};

mod stray;

/// How long a look at one target may take when an operator waits for it, and how long all the rest may.
const LOOK: Duration = Duration::from_secs(4);
const ACTS: Duration = Duration::from_secs(7);
/// How long the step may go on that was begun before the time was up.
const LAST_STEP: Duration = Duration::from_secs(2);
/// How long a worker's run may take for one target.
const WORK: Duration = Duration::from_mins(2);
/// How long a start waits for the targets before leases are taken back from those that were looked at.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long it is until each of the others is looked at again, and at most.
const NEXT_LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A lease of this age has its login, if it ever had one: longer than the create deadline.
const SETTLED: Duration = Duration::from_secs(30);
/// How far a target's clock can have moved between two looks at it.
const DRIFT: Duration = Duration::from_mins(2);
/// Leases marked as lost, and strays on which a step is taken, in one run.
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

    /// Before a process takes anything back: does any target know of leases that the database has forgotten? Nothing is taken back
    /// from one that was not looked at yet, and nobody else waits for it for long.
    pub async fn first_look(&self) {
        let (until, names) = (Instant::now() + FIRST_LOOK, self.rooms.store.connections().names());
        self.rooms.leases.wait_to_see(&names);
        // A database that does not answer keeps nobody here either.
        let _ = tokio::time::timeout_at(until + LAST_STEP, self.each(&names, Act::Look, until, true)).await;
    }

    /// Looks at the targets that the first look did not see, until all of them were.
    pub async fn look_further(&self) {
        let mut looks = JoinSet::new();
        for name in self.rooms.leases.unseen() {
            let this = self.clone();
            looks.spawn(async move { this.look_until_seen(name).await });
        }
        looks.join_all().await;
    }

    async fn look_until_seen(&self, name: String) {
        let leases = &self.rooms.leases;
        let mut pause = NEXT_LOOK.0;
        while leases.unseen().contains(&name) && self.rooms.store.connections().get(&name).is_some() {
            tracing::warn!(connection = name, "nothing is taken back from a target that could not be looked at yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(NEXT_LOOK.1);
            self.each(std::slice::from_ref(&name), Act::Look, Instant::now() + WORK, true).await;
        }
        leases.seen(&name);
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
        let patience = if act == Act::Told { until.min(Instant::now() + LOOK) } else { until };
        let found = match tokio::time::timeout_at(patience, rooms.engines.list(&rooms.bench, connection)).await {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) => {
                rooms.leases.seen(name);
                answer.failure = Some("its engine cannot tell what the target has".to_owned());
                return Ok(());
            }
            Ok(Err(error)) => {
                // One that answers no tells nothing later either.
                if !matches!(error, EngineError::TargetUnavailable(_)) {
                    rooms.leases.seen(name);
                }
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
                "connection {name} has {forgotten} logins of leases that the database has forgotten, or forgotten to be renewed: it was brought back from a backup, or is a copy"
            );
            self.holds.begin(&reason).await?;
        }
        if may_hold {
            rooms.leases.seen(name);
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
        let mut steps = if acts && !held { AT_ONCE } else { 0 };
        for stray in self.in_turn(strays) {
            let may = steps > 0 && Instant::now() < until;
            let step = self.step(connection, &stray, may);
            let Ok(step) = tokio::time::timeout_at(until + LAST_STEP, step).await else {
                answer.failure = Some("the target did not answer in time".to_owned());
                break;
            };
            let (step, acted) = step?;
            steps -= i64::from(acted);
            answer.strays.push(step);
        }
        answer.strays.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }

    /// Those that were not known first, then the others from anywhere on: those that cannot be shut must not keep the rest from it.
    fn in_turn(&self, strays: Vec<stray::Seen>) -> Vec<stray::Seen> {
        let (mut new, mut known): (Vec<_>, Vec<_>) = strays.into_iter().partition(|stray| stray.is_new);
        let dice = self.rooms.system.random::<4>().map_or(0, u32::from_le_bytes);
        let from = usize::try_from(dice).unwrap_or(0).checked_rem(known.len()).unwrap_or(0);
        known.rotate_left(from);
        new.append(&mut known);
        new
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
        let standing: HashMap<Uuid, Standing> = store.standing(&ids).await?.into_iter().map(|row| (row.id, row)).collect();
        let renewed = self.renewed(found, &standing).await?;
        let mut known: HashMap<String, _> =
            store.strays(connection).await?.into_iter().map(|stray| (stray.name.clone(), stray)).collect();
        let seen = found.iter().filter_map(|found| {
            let row = found.lease.and_then(|lease| standing.get(&lease));
            let why = match row.filter(|row| row.upstream.as_ref() == Some(&found.name)) {
                Some(row) if renewed.contains(&row.id) => stray::Why::Renewed,
                Some(row) => (!row.state.is_open()).then_some(stray::Why::Ended)?,
                None => stray::Why::Unknown,
            };
            Some(stray::Seen::new(found, why, known.remove(&found.name), now))
        });
        Ok(seen.collect())
    }

    /// The open leases that their target lets live longer than the database was ever told: they were renewed after its backup.
    async fn renewed(&self, found: &[Found], standing: &HashMap<Uuid, Standing>) -> Result<HashSet<Uuid>, Error> {
        let later = found.iter().filter_map(|found| {
            let (lease, ends_at) = found.lease.zip(found.ends_at.filter(|_| found.open && found.keeps_end))?;
            let row = standing.get(&lease)?;
            (row.state.is_open() && ends_at > row.expires_at + DRIFT).then_some((lease, ends_at))
        });
        let mut later: HashMap<Uuid, OffsetDateTime> = later.collect();
        if later.is_empty() {
            return Ok(HashSet::new());
        }
        // A renewal whose target answered too late stands in the log, though the row was moved back.
        let ids: Vec<Uuid> = later.keys().copied().collect();
        for told in self.rooms.store.records_of_leases(Kind::LeaseRenewed, &ids).await? {
            let Some((lease, Json::Int(end))) = told.record.lease_id.zip(told.record.fields.get("ends_at")) else { continue };
            later.retain(|id, ends_at| *id != lease || (*ends_at - DRIFT).unix_timestamp() > *end);
        }
        Ok(later.into_keys().collect())
    }
}

fn told(hold: Hold) -> HoldAnswer {
    HoldAnswer { since: hold.since, reason: hold.reason }
}

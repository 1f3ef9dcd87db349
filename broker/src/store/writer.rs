//! The group writer: one task per replica that writes all records waiting for it in one statement and one commit.
//!
//! A commit costs a wait for the disk, whoever shares it; so nobody waits alone. A record that cannot be written is refused
//! by itself; an error of the whole batch is found by writing its records one by one. A record is acknowledged only after
//! its commit; when the connection is lost in between, nobody is.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::lease::State;
use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::audit::Entry;
use super::data_keys::generation_column;
use super::leases::{handle_place, margin};
use super::line::Line;
use super::servers::Servers;
use super::{Quota, Record, Store, StoreError, WriteError, Written};
use crate::crypto::keyring::Sealed;
use crate::{failpoint, panics};

mod columns;
mod room;
mod statement;

use room::Room;

/// How many records one commit carries at most. More make every one of them wait longer and the disk no faster.
const BATCH: usize = 64;
/// How many may wait. Beyond that callers wait for a place; the doors' own limit is lower.
const WAITING: usize = 1024;
/// How often a record goes back into the next batch before it is written alone.
const DEFERRALS: u8 = 3;
/// How often a use number that another replica took is tried anew.
const RACES: u8 = 8;

/// Where callers hand in their records.
#[derive(Debug)]
pub(super) struct Handle {
    sender: mpsc::Sender<Job>,
    closing: CancellationToken,
    task: TaskTracker,
    full: Arc<AtomicBool>,
}

impl Handle {
    /// Whether the database had no room for a batch since this was last asked.
    pub(super) fn was_full(&self) -> bool {
        self.full.swap(false, Ordering::Relaxed)
    }

    /// Takes no more records, writes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.close();
        self.task.wait().await;
    }
}

/// A record with everything computed that needs no database: keys, hashes and texts are the caller's work, on its own core.
#[derive(Debug)]
struct Prepared {
    record: Record,
    handles: Vec<Sealed>,
    token_key: Option<Uuid>,
    audit: Vec<Entry>,
}

#[derive(Debug)]
struct Job {
    prepared: Prepared,
    deferred: u8,
    answer: oneshot::Sender<Result<(), WriteError>>,
}

/// What became of one record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Written,
    /// Every use is spent, or one is by the same key.
    Spent,
    /// Another replica took the use at the same moment.
    Raced,
    /// Refused whatever else is in the batch.
    Quota(Quota),
    /// Refused only because of what came before it in the batch, which may have been refused itself.
    Crowded(Quota),
    Moved,
    SessionEnded,
    JobEnded,
}

/// Starts the task; it ends when the last handle is gone.
pub(super) fn start(servers: Servers, patience: Duration) -> Handle {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (closing, task) = (CancellationToken::new(), TaskTracker::new());
    let full = Arc::<AtomicBool>::default();
    let writer = Writer { line: Line::new(servers.clone()), servers, patience, full: full.clone(), room: Room::default() };
    task.spawn(writer.run(receiver, closing.clone()));
    Handle { sender, closing, task, full }
}

pub(super) async fn write(store: &Store, record: Record) -> Result<Written, WriteError> {
    let prepared = prepare(store, record)?;
    let token = prepared.record.token_use.as_ref().map(|token| (token.key(), token.idempotency));
    let in_doubt = prepared.point("store::activation_in_doubt", "store::record_in_doubt");
    let (answer, answered) = oneshot::channel();
    let job = Job { prepared, deferred: 0, answer };
    store.0.writer.sender.send(job).await.map_err(|_| StoreError::Stopped)?;
    match (answered.await.map_err(|_| StoreError::Stopped)?, token) {
        (Ok(()), _) => {
            // The commit whose acknowledgement is lost: the caller cannot know that it was written.
            if let Some(point) = in_doubt {
                failpoint::pass(point)
                    .await
                    .map_err(|error| StoreError::InDoubt(sqlx::Error::Io(std::io::Error::other(error))))?;
            }
            Ok(Written(()))
        }
        (Err(WriteError::TokenAlreadyUsed { .. }), Some((key, idempotency))) => {
            let session = super::sessions::opened_by_token(store, key, idempotency.as_ref()).await?;
            Err(WriteError::TokenAlreadyUsed { session })
        }
        (Err(error), _) => Err(error),
    }
}

fn prepare(store: &Store, record: Record) -> Result<Prepared, StoreError> {
    if record.audit.is_empty() {
        return Err(StoreError::Unrecorded);
    }
    let seal = |lease: &super::NewLease| store.0.keys.seal(handle_place(&lease.id), lease.handle.expose());
    let handles = record.leases.iter().map(seal).collect::<Result<_, _>>()?;
    let audit = record.audit.iter().map(Entry::of).collect::<Result<_, _>>()?;
    let token_key = record.token_use.as_ref().map(super::TokenUse::key);
    let prepared = Prepared { record, handles, token_key, audit };
    // The database keeps no NUL; found here it harms one record, found there the whole batch.
    if columns::texts(&prepared).any(|text| text.contains('\0')) {
        return Err(StoreError::Nul);
    }
    for sealed in &prepared.handles {
        generation_column(sealed.generation)?;
    }
    Ok(prepared)
}

#[derive(Debug)]
struct Writer {
    line: Line,
    servers: Servers,
    patience: Duration,
    full: Arc<AtomicBool>,
    room: Room,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Job>, closing: CancellationToken) {
        // Whoever waited for what panicked is told that nobody knows what became of it; the next batch is written all the same.
        while let Err(panic) = panics::caught(self.work(&mut receiver, &closing)).await {
            tracing::error!(panic, "the group writer panicked and goes on; this is a defect");
            self.line.lose();
        }
        self.line.close().await;
    }

    /// Writes batch after batch, until nobody is left to hand one in.
    async fn work(&mut self, receiver: &mut mpsc::Receiver<Job>, closing: &CancellationToken) {
        let mut waiting: Vec<Job> = Vec::with_capacity(BATCH);
        loop {
            let room = BATCH.saturating_sub(waiting.len());
            if waiting.is_empty() {
                let taken = tokio::select! {
                    taken = receiver.recv_many(&mut waiting, room) => taken,
                    () = closing.cancelled(), if !receiver.is_closed() => {
                        receiver.close();
                        continue;
                    }
                };
                if taken == 0 {
                    break;
                }
            } else {
                // Deferred ones are not kept waiting for company.
                while waiting.len() < BATCH
                    && let Ok(job) = receiver.try_recv()
                {
                    waiting.push(job);
                }
            }
            let (batch, rest) = gather(std::mem::take(&mut waiting));
            waiting = rest;
            if !batch.is_empty() {
                waiting.extend(self.write(batch).await);
            }
        }
    }

    /// Writes a batch and answers its callers; returns what has to go into the next one.
    async fn write(&mut self, batch: Vec<Job>) -> Vec<Job> {
        let connection = match self.line.get().await {
            Ok(connection) => connection,
            Err(error) => {
                let error = StoreError::Unreachable(error);
                tracing::error!(%error, records = batch.len(), "the group writer could not write");
                refuse_all(batch, &error);
                return Vec::new();
            }
        };
        let prepared: Vec<&Prepared> = batch.iter().map(|job| &job.prepared).collect();
        let room = &mut self.room;
        let written = async {
            if let Some(point) = prepared.iter().find_map(|prepared| prepared.before()) {
                failpoint::pass(point).await.map_err(|error| sqlx::Error::Encode(error.into()))?;
            }
            match prepared.as_slice() {
                [alone] if alone.is_repeat() => write_repeat(connection, alone).await.map(|verdict| vec![verdict]),
                all => statement::write(connection, all, room).await,
            }
        };
        let outcome = self.servers.while_here(self.patience, written).await;
        match outcome {
            Ok(verdicts) => batch.into_iter().zip(verdicts).filter_map(|(job, verdict)| settle(job, verdict)).collect(),
            Err(error) => self.fail(batch, error).await,
        }
    }

    /// After an error of the whole statement: the guilty record is found by writing each alone, unless none can be
    /// written now.
    async fn fail(&mut self, batch: Vec<Job>, error: sqlx::Error) -> Vec<Job> {
        let error = StoreError::from(error);
        self.full.fetch_or(matches!(error, StoreError::Exhausted(_)), Ordering::Relaxed);
        if !matches!(error, StoreError::Database(_) | StoreError::Exhausted(_)) {
            self.line.lose();
        }
        let mut rest = Vec::new();
        if batch.len() > 1 && matches!(error, StoreError::Database(_)) {
            tracing::warn!(%error, records = batch.len(), "a batch failed; its records are written one by one");
            for job in batch {
                rest.extend(Box::pin(self.write(vec![job])).await);
            }
        } else {
            tracing::error!(%error, records = batch.len(), "the group writer could not write");
            refuse_all(batch, &error);
        }
        rest
    }
}

/// Splits off what cannot stand in one statement: a second use of the same token, and repeats, which go alone. Whoever
/// does not wait any more is left out.
fn gather(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let mut batch: Vec<Job> = Vec::with_capacity(jobs.len());
    let mut rest = Vec::new();
    let mut tokens: HashSet<Uuid> = HashSet::new();
    for job in jobs {
        if job.answer.is_closed() {
            continue;
        }
        let alone = job.prepared.is_repeat() || job.deferred >= DEFERRALS;
        let first_alone = batch.first().is_some_and(|first: &Job| first.prepared.is_repeat() || first.deferred >= DEFERRALS);
        if first_alone || (alone && !batch.is_empty()) || job.prepared.token_key.is_some_and(|token| !tokens.insert(token)) {
            rest.push(job);
        } else {
            batch.push(job);
        }
    }
    (batch, rest)
}

/// Answers the caller, or gives the job back for the next batch.
fn settle(mut job: Job, verdict: Verdict) -> Option<Job> {
    let uses = job.prepared.record.token_use.as_ref().map_or(1, |token| token.uses);
    let alone = job.deferred >= DEFERRALS;
    let answer = match verdict {
        Verdict::Written => Ok(()),
        // There may be another use.
        Verdict::Raced if uses > 1 && job.deferred < RACES => {
            job.deferred = job.deferred.saturating_add(1);
            return Some(job);
        }
        Verdict::Crowded(_) if !alone => {
            job.deferred = job.deferred.saturating_add(1);
            return Some(job);
        }
        Verdict::Spent | Verdict::Raced => Err(WriteError::TokenAlreadyUsed { session: None }),
        Verdict::Quota(quota) | Verdict::Crowded(quota) => Err(WriteError::Quota(quota)),
        Verdict::Moved => Err(WriteError::Moved),
        Verdict::SessionEnded => Err(WriteError::SessionEnded),
        Verdict::JobEnded => Err(WriteError::JobEnded),
    };
    // A caller that has gone away leaves a pending lease, which the sweep takes back.
    let _ = job.answer.send(answer);
    None
}

/// A safe repeat: takes the use over from the session that it replaces, then writes the rest.
async fn write_repeat(connection: &mut PgConnection, prepared: &Prepared) -> Result<Verdict, sqlx::Error> {
    let Some((token, replaces)) = prepared.record.token_use.as_ref().and_then(|token| Some((token, token.replaces?))) else {
        return Ok(Verdict::Spent);
    };
    let mut tx = connection.begin().await?;
    let taken = sqlx::query!(
        "update daypass.token_uses set session_id = $1, keep_until = greatest(keep_until, $2)
         where token_key = $3 and session_id = $4",
        token.session_id,
        token.keep_until,
        token.key(),
        replaces
    )
    .execute(&mut *tx)
    .await?;
    if !super::one_row(&taken) {
        tx.rollback().await?;
        return Ok(Verdict::Spent);
    }
    // Counted for itself: what is known of others is not its own to use.
    let verdict = statement::write(&mut tx, &[prepared], &mut Room::default()).await?.first().copied().unwrap_or(Verdict::Moved);
    if verdict == Verdict::Written {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(verdict)
}

impl Prepared {
    /// Where a test stops a write before it is sent: as if the database had refused it.
    fn before(&self) -> Option<&'static str> {
        self.point("store::activation_refused", "store::record_refused")
    }

    fn point(&self, activation: &'static str, recording: &'static str) -> Option<&'static str> {
        match &self.record {
            Record { activate, .. } if !activate.is_empty() => Some(activation),
            Record { leases, .. } if !leases.is_empty() => Some(recording),
            _ => None,
        }
    }

    fn is_repeat(&self) -> bool {
        self.record.token_use.as_ref().is_some_and(|token| token.replaces.is_some())
    }
}

/// When a worker has to look at a new lease.
fn due_at(lease: &super::NewLease) -> OffsetDateTime {
    if lease.state == State::Pending { lease.create_deadline + margin() } else { lease.expires_at }
}

fn refuse_all(batch: Vec<Job>, error: &StoreError) {
    for job in batch {
        // Whoever has gone away needs no answer.
        let _ = job.answer.send(Err(error_like(error).into()));
    }
}

/// The same error for one more caller; errors of the driver cannot be cloned.
fn error_like(error: &StoreError) -> StoreError {
    let text = sqlx::Error::Io(std::io::Error::other(error.to_string()));
    match error {
        StoreError::Exhausted(_) => StoreError::Exhausted(text),
        StoreError::Database(_) => StoreError::Database(text),
        StoreError::Unreachable(_) => StoreError::Unreachable(text),
        _ => StoreError::InDoubt(text),
    }
}

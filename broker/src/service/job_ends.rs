//! Ends the sessions of jobs that are over.
//!
//! What a CI system reports is first noted and then carried out by a worker of any replica: whoever dies in between, another
//! one goes on. Sessions are looked for twice, because an exchange that was being written during the first look was not seen
//! by it; every later exchange sees the note itself and is refused.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::Kind;
use tokio::sync::Notify;

use super::error::Error;
use super::rooms::Rooms;
use crate::audit::log;
use crate::store::job_ends::{Due, Noted, Outlived};

/// Ends claimed at once.
const BATCH: i64 = 100;
/// How long after the note sessions are looked for once more, and how long one replica has for a batch. Longer than an
/// exchange can take to be written and still be answered.
const AGAIN: Duration = Duration::from_secs(30);

/// Notes the ends of jobs and ends their sessions.
#[derive(Clone, Debug)]
pub struct JobEnds {
    rooms: Arc<Rooms>,
    wake: Arc<Notify>,
}

impl JobEnds {
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms, wake: Arc::default() }
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Notes what has ended. When it returns, it will be carried out. How many were not known before.
    pub async fn note(&self, noted: &Noted<'_>) -> Result<u64, Error> {
        let new = self.rooms.store.note_job_ends(noted).await?;
        if new > 0 {
            self.wake.notify_one();
        }
        Ok(new)
    }

    /// Ends the sessions of all jobs that are to be looked at.
    pub async fn end_due(&self) -> Result<(), Error> {
        loop {
            let now = self.rooms.system.now();
            let due = self.rooms.store.claim_job_ends(now, now + AGAIN, BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            let left = self.end_sessions(&due).await?;
            let done = due.iter().enumerate().filter(|(at, _)| !left.contains(at));
            // Seen twice, the second time after everything that was being written at the first, it is over.
            let next = |end: &Due| (now < end.noted_at + AGAIN).then_some(end.noted_at + AGAIN);
            let looked: Vec<_> = done.map(|(_, end)| (end, next(end))).collect();
            self.rooms.store.looked_for_sessions(&looked).await?;
        }
    }

    /// Which of the ends have to be looked at again, because a session could not be ended.
    async fn end_sessions(&self, due: &[Due]) -> Result<Vec<usize>, Error> {
        let rooms = &self.rooms;
        let mut left = Vec::new();
        for session in rooms.store.sessions_of_ended_jobs(due).await? {
            let Some(end) = due.get(session.end) else { continue };
            if let Err(error) = self.end_session(&session, end).await {
                tracing::warn!(session = %session.id, ?error, "the session of a job that is over could not be ended; tried again");
                left.push(session.end);
            }
        }
        rooms.leases.wake();
        Ok(left)
    }

    async fn end_session(&self, session: &Outlived, end: &Due) -> Result<(), Error> {
        let rooms = &self.rooms;
        let record = log::happened(&rooms.system, Kind::SessionEnded, rooms.system.row_id()?, session.id, None, &session.role)?
            .field("reason", "job ended")
            .field("delivery", end.delivery.as_str());
        if rooms.store.end_session(session.id, rooms.system.now(), &[record]).await?.is_some() {
            tracing::info!(session = %session.id, delivery = end.delivery, "the job is over: its session is ended");
        }
        Ok(())
    }
}

//! Exchanges that operators have stopped, and the sessions that came of them.

use domain::audit;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There, Tx, one_row};

/// A stop that has not been lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub id: Uuid,
    /// The project's id or its name.
    pub repository: Option<String>,
    pub run: Option<String>,
    pub role: Option<String>,
    pub issuer: Option<String>,
    pub engine: Option<String>,
    /// Tokens made before this moment.
    pub issued_before: Option<OffsetDateTime>,
    pub reason: String,
    /// The session of the operator who did it.
    pub spared: Option<Uuid>,
    /// It switches a role or an issuer off by name, and ends nothing.
    pub switch: bool,
    pub created_at: OffsetDateTime,
}

/// An open session that a stop speaks of.
#[derive(Clone, Debug)]
pub struct Stopped {
    pub id: Uuid,
    pub role: String,
    pub opened_at: OffsetDateTime,
}

impl Store {
    /// Every stop that holds, the newest first.
    pub async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        sqlx::query_as!(
            Stop,
            "select id, repository, run, role, issuer, engine, issued_before, reason, spared, switch, created_at
             from daypass.stops where lifted_at is null order by id desc"
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }

    /// The stops whose sessions have not all been ended yet. What is only switched off ends nothing.
    pub async fn unswept_stops(&self) -> Result<Vec<Stop>, StoreError> {
        sqlx::query_as!(
            Stop,
            "select id, repository, run, role, issuer, engine, issued_before, reason, spared, created_at, switch
             from daypass.stops where lifted_at is null and swept_at is null and not switch order by id"
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }

    /// Notes that no session is left that a stop speaks of.
    pub async fn stop_is_swept(&self, id: Uuid, now: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!("update daypass.stops set swept_at = $1 where id = $2 and swept_at is null", now, id)
            .execute(self.pool())
            .there(self)
            .await?;
        Ok(())
    }

    /// Puts a stop in place, with what the log says of it. `false`: what it switches off is off.
    pub async fn stop(&self, stop: &Stop, record: &audit::Record) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let stopped = sqlx::query!(
            "insert into daypass.stops (id, repository, run, role, issuer, engine, issued_before, reason, spared, switch, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing",
            stop.id,
            stop.repository,
            stop.run,
            stop.role,
            stop.issuer,
            stop.engine,
            stop.issued_before,
            stop.reason,
            stop.spared,
            stop.switch,
            stop.created_at
        )
        .execute(tx.connection())
        .await?;
        if !one_row(&stopped) {
            return Ok(false);
        }
        tx.remember(std::slice::from_ref(record)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lifts a stop, with what the log says of it. `false`: there is none, or it was lifted before.
    pub async fn lift_stop(&self, id: Uuid, now: OffsetDateTime, record: &audit::Record) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let lifted = sqlx::query!("update daypass.stops set lifted_at = $1 where id = $2 and lifted_at is null", now, id)
            .execute(tx.connection())
            .await?;
        if !one_row(&lifted) {
            return Ok(false);
        }
        tx.remember(std::slice::from_ref(record)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Up to `limit` open sessions after `after` that the stop speaks of, but for the age of their tokens, which their rows do not
    /// tell. One counts for an engine also when what it held there has been taken back by the stop itself.
    pub async fn stopped_sessions(
        &self,
        stop: &Stop,
        after: Option<Uuid>,
        now: OffsetDateTime,
        limit: i64,
    ) -> Result<Vec<Stopped>, StoreError> {
        let mut tx = self.search().await?;
        sqlx::query_as!(
            Stopped,
            "select s.id, s.role, s.opened_at from daypass.sessions s
             where s.ended_at is null and s.ends_at > $1
               and ($2::text is null or s.project = $2 or lower(s.project_name) = lower($2))
               and ($3::text is null or s.run = $3)
               and ($4::text is null or s.role = $4)
               and ($5::text is null or s.issuer = $5)
               and ($6::text is null or exists (
                   select from daypass.leases l
                   where l.session_id = s.id and l.engine = $6 and (l.due_at is not null or l.revocation = $7)))
               and ($8::uuid is null or s.id > $8)
               and s.id is distinct from $9::uuid
             order by s.id limit $10",
            now,
            stop.repository,
            stop.run,
            stop.role,
            stop.issuer,
            stop.engine,
            stop.id,
            after,
            stop.spared,
            limit
        )
        .fetch_all(tx.connection())
        .there(self)
        .await
    }
}

impl Tx {
    /// Ends a session as [`Tx::end_session`] does, and marks the leases that it leaves open as those of a revocation.
    pub async fn stop_session(
        &mut self,
        session: Uuid,
        revocation: Uuid,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        if self.end_session(session, now).await?.is_none() {
            return Ok(None);
        }
        let open = sqlx::query_scalar!("select id from daypass.leases where session_id = $1 and due_at is not null", session)
            .fetch_all(self.connection())
            .await?;
        self.mark_revocation(revocation, &open, now).await.map(Some)
    }
}

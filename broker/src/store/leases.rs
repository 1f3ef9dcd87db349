//! Leases: what is due, who takes it back, and what came of it.
//!
//! A worker claims due rows in a short transaction and holds no lock while it talks to a target. The number of the attempt
//! is its fencing token: what it did is recorded only while no later claim exists.

use domain::audit;
use domain::lease::State;
use domain::secret::Secret;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::data_keys::generation_column;
use super::{Store, StoreError, There, Tx, one_row, sessions};
use crate::crypto::keyring::Place;

mod expiring;
mod renewal;
mod wanted;

pub use expiring::Expiring;
pub use renewal::Step;
pub use wanted::{Found, Wanted, Whose};

/// A lease as it stands, without what is needed to undo it.
#[derive(Clone, Debug)]
pub struct Lease {
    pub id: Uuid,
    pub session_id: Uuid,
    pub role: String,
    pub credential: String,
    pub engine: String,
    pub connection: Option<String>,
    pub upstream: Option<String>,
    pub state: State,
    pub revocable: bool,
    pub issued_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub due_at: Option<OffsetDateTime>,
    pub attempt: i32,
    pub reason: Option<String>,
    pub ended_at: Option<OffsetDateTime>,
}

/// A lease that this worker is to take back, until its claim ends.
#[derive(Debug)]
pub struct Claimed {
    pub lease: Lease,
    /// What the engine planned for this moment.
    pub handle: Secret<Vec<u8>>,
    pub owner: Uuid,
}

/// Which due leases to claim.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub owner: Uuid,
    pub now: OffsetDateTime,
    /// Whoever has not settled by then has lost the claim.
    pub until: OffsetDateTime,
    pub limit: i64,
    /// Targets that are left alone for now, by connection or, without one, by engine.
    pub except: &'a [String],
}

/// What came of an attempt to take a lease back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Revoked,
    /// The login is dead, the rest is tried again.
    Fenced {
        reason: String,
        next_try: OffsetDateTime,
    },
    /// Nothing is known to be done; tried again.
    Retry {
        reason: String,
        next_try: OffsetDateTime,
    },
}

/// Leases whose time is over and that are not gone.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    pub count: u64,
    /// When the first of them was to end.
    pub since: Option<OffsetDateTime>,
}

/// How long after its create deadline a pending lease is left alone: longer than clocks and connections can lag.
pub(super) const fn margin() -> Duration {
    Duration::seconds(5)
}

/// Where the handle of a lease is sealed. A handle never changes, so its version does not.
pub(super) fn handle_place(id: &Uuid) -> Place<'_> {
    Place { table: "leases", column: "handle", key: id.as_bytes(), version: 1 }
}

/// A lease as its row holds it.
struct Row {
    id: Uuid,
    session_id: Uuid,
    role: String,
    credential: String,
    engine: String,
    connection: Option<String>,
    upstream: Option<String>,
    state: String,
    revocable: bool,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    due_at: Option<OffsetDateTime>,
    attempt: i32,
    reason: Option<String>,
    ended_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Lease {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            session_id: row.session_id,
            role: row.role,
            credential: row.credential,
            engine: row.engine,
            connection: row.connection,
            upstream: row.upstream,
            state: row.state.parse().map_err(|_| StoreError::Corrupt("leases"))?,
            revocable: row.revocable,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            due_at: row.due_at,
            attempt: row.attempt,
            reason: row.reason,
            ended_at: row.ended_at,
        })
    }
}

impl Store {
    /// The lease, if it exists.
    pub async fn lease(&self, id: Uuid) -> Result<Option<Lease>, StoreError> {
        sqlx::query_as!(
            Row,
            "select id, session_id, role, credential, engine, connection, upstream, state, revocable, issued_at, expires_at,
                    due_at, attempt, reason, ended_at
             from daypass.leases where id = $1",
            id
        )
        .fetch_optional(self.pool())
        .there(self)
        .await?
        .map(Lease::try_from)
        .transpose()
    }

    /// The leases of a session, newest first.
    pub async fn leases_of(&self, session_id: Uuid) -> Result<Vec<Lease>, StoreError> {
        self.whole(of_session(self.pool(), session_id)).await
    }

    /// Takes up to `claim.limit` due leases for one worker, none while there is a hold; they are `revoking` from then on. Those
    /// that end by their own clock are not among them. Targets are looked at one by one, so that what waits for one of them
    /// is not in the way of the others.
    pub async fn claim_leases(&self, claim: &Claim<'_>) -> Result<Vec<Claimed>, StoreError> {
        let statement = sqlx::query!(
            r#"
            with recursive target as (
                (select coalesce(connection, engine) as name from daypass.leases where due_at is not null and state <> 'passive'
                 order by coalesce(connection, engine) limit 1)
                union all
                select (select coalesce(l.connection, l.engine) from daypass.leases l
                        where l.due_at is not null and l.state <> 'passive' and coalesce(l.connection, l.engine) > t.name
                        order by coalesce(l.connection, l.engine) limit 1)
                from target t where t.name is not null
            ),
            due as materialized (
                select d.id from target t cross join lateral (
                    select id, due_at from daypass.leases
                    where due_at <= $1 and state <> 'passive' and coalesce(connection, engine) = t.name
                    order by due_at limit $3 for no key update skip locked) d
                where t.name is not null and t.name <> all ($2::text[]) and not exists (select from daypass.holds)
                order by d.due_at limit $3
            )
            update daypass.leases l
            set state = 'revoking', due_at = $4, attempt = l.attempt + 1, claimed_by = $5,
                wanted_at = coalesce(l.wanted_at, l.due_at)
            -- An array, because a join with so few rows of unknown number would read the whole table.
            where l.id = any (array(select id from due))
            returning l.id, l.session_id, l.role, l.credential, l.engine, l.connection, l.upstream, l.state, l.revocable,
                      l.issued_at, l.expires_at, l.due_at, l.attempt, l.reason, l.ended_at, l.handle
            "#,
            claim.now,
            claim.except,
            claim.limit,
            claim.until,
            claim.owner
        );
        let rows = statement.fetch_all(self.pool()).there(self).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            // One handle that does not open must not keep the others from being taken back.
            match self.0.keys.open(handle_place(&row.id), &row.handle).await {
                Ok(handle) => claimed.push(Claimed {
                    handle,
                    owner: claim.owner,
                    lease: Row {
                        id: row.id,
                        session_id: row.session_id,
                        role: row.role,
                        credential: row.credential,
                        engine: row.engine,
                        connection: row.connection,
                        upstream: row.upstream,
                        state: row.state,
                        revocable: row.revocable,
                        issued_at: row.issued_at,
                        expires_at: row.expires_at,
                        due_at: row.due_at,
                        attempt: row.attempt,
                        reason: row.reason,
                        ended_at: row.ended_at,
                    }
                    .try_into()?,
                }),
                Err(error) => tracing::error!(lease = %row.id, %error, "the handle of a due lease does not open"),
            }
        }
        Ok(claimed)
    }

    /// Records what came of a claim, together with what the log says of it. `false`: the claim was lost to a later one, and
    /// nothing was recorded. With the last lease of an exchange that never became a grant, the use of its token is free again.
    pub async fn settle_lease(
        &self,
        claimed: &Claimed,
        outcome: &Outcome,
        now: OffsetDateTime,
        audit: &[audit::Record],
    ) -> Result<bool, StoreError> {
        let (state, due_at, reason, ended_at) = match outcome {
            Outcome::Revoked => (State::Revoked, None, None, Some(now)),
            Outcome::Fenced { reason, next_try } => (State::Fenced, Some(*next_try), Some(reason.as_str()), None),
            Outcome::Retry { reason, next_try } => (State::Revoking, Some(*next_try), Some(reason.as_str()), None),
        };
        self.whole(async {
            let mut tx = self.begin().await?;
            let settled = sqlx::query!(
                "update daypass.leases
             set state = $1, due_at = $2, reason = $3, ended_at = $4, claimed_by = null,
                 handle = case when $4::timestamptz is null then handle else '' end
             where id = $5 and attempt = $6 and claimed_by = $7 and state = $8",
                state.as_str(),
                due_at,
                reason,
                ended_at,
                claimed.lease.id,
                claimed.lease.attempt,
                claimed.owner,
                State::Revoking.as_str()
            )
            .execute(tx.connection())
            .await?;
            if !one_row(&settled) {
                return Ok(false);
            }
            if *outcome == Outcome::Revoked {
                sessions::free_use(&mut tx, claimed.lease.session_id).await?;
            }
            tx.remember(audit).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Leases that were to be gone before `before`, at their end or because they were given back. A next try in the future
    /// makes none of them less late. What ended by its own clock is gone, and only to be written off, in its own time: it is
    /// late when nobody has done it ten minutes later.
    pub async fn late_leases(&self, before: OffsetDateTime) -> Result<Late, StoreError> {
        let row = sqlx::query!(
            r#"select count(*) as "count!", min(coalesce(wanted_at, due_at)) as since
               from daypass.leases
               where due_at is not null and ((wanted_at is null and due_at < $1) or wanted_at < $1)
                 and (state <> 'passive' or due_at < $1 - interval '10 minutes')"#,
            before
        )
        .fetch_one(self.pool())
        .there(self)
        .await?;
        Ok(Late { count: row.count.unsigned_abs(), since: row.since })
    }

    /// Forgets up to `limit` leases that ended before `before`. The log keeps what it says of them.
    pub async fn forget_leases(&self, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
        let forgotten = sqlx::query_scalar!(
            r#"with gone as (
                 delete from daypass.leases where id in (
                     select id from daypass.leases where due_at is null and ended_at < $1 limit $2 for update skip locked)
                 returning id),
               unmarked as (delete from daypass.lease_marks where lease_id in (select id from gone))
               select count(*) as "count!" from gone"#,
            before,
            limit
        )
        .fetch_one(self.pool())
        .there(self)
        .await?;
        Ok(forgotten.unsigned_abs())
    }
}

impl Tx {
    /// Gives leases back: those that can be are due now, and nothing can activate them any more. A pending one waits for
    /// its create deadline, because until then its credential may still come into being. Answers those that began.
    pub async fn begin_release(&mut self, ids: &[Uuid], now: OffsetDateTime) -> Result<Vec<Uuid>, StoreError> {
        Ok(sqlx::query_scalar!(
            "with open as materialized (
                 select id from daypass.leases
                 where id = any($1::uuid[]) and state in ('pending', 'active', 'fenced')
                 order by id for no key update
             )
             update daypass.leases l
             set state = 'revoking', due_at = case l.state when 'pending' then greatest(l.due_at, $2) else $2 end,
                 wanted_at = coalesce(l.wanted_at, case l.state when 'pending' then greatest(l.due_at, $2) else $2 end)
             from open where l.id = open.id
             returning l.id",
            ids,
            now
        )
        .fetch_all(self.connection())
        .await?)
    }
}

pub(super) async fn of_session(pool: &PgPool, session_id: Uuid) -> Result<Vec<Lease>, StoreError> {
    sqlx::query_as!(
        Row,
        "select id, session_id, role, credential, engine, connection, upstream, state, revocable, issued_at, expires_at,
                due_at, attempt, reason, ended_at
         from daypass.leases where session_id = $1 order by issued_at desc, id desc",
        session_id
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .map(Lease::try_from)
    .collect()
}

/// Moves handles of open leases to the active generation.
pub(super) async fn rewrap(tx: &mut Tx, limit: i64) -> Result<u64, StoreError> {
    let keys = tx.keys.clone();
    let active = generation_column(keys.ring().active())?;
    let rows = sqlx::query!(
        "select id, handle, generation from daypass.leases where due_at is not null and generation < $1
         limit $2 for no key update skip locked",
        active,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let mut moved = 0;
    for row in rows {
        let Ok(clear) = keys.open(handle_place(&row.id), &row.handle).await else {
            tracing::error!(lease = %row.id, "the handle of a lease does not open and cannot be rewrapped");
            continue;
        };
        let sealed = keys.seal(handle_place(&row.id), clear.expose())?;
        let result = sqlx::query!(
            "update daypass.leases set handle = $1, generation = $2 where id = $3 and generation = $4 and due_at is not null",
            sealed.bytes,
            generation_column(sealed.generation)?,
            row.id,
            row.generation
        )
        .execute(tx.connection())
        .await?;
        moved += result.rows_affected();
    }
    Ok(moved)
}

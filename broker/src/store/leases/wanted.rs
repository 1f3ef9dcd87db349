//! Leases as operators look for them: by what their row says and by whose session they are.

use domain::lease::State;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Lease;
use crate::store::{Store, StoreError};

/// Which leases are meant; what is absent says nothing.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub lease: Option<Uuid>,
    pub session: Option<Uuid>,
    pub job: Option<String>,
    pub run: Option<String>,
    /// The project's id or its name.
    pub repository: Option<String>,
    pub role: Option<String>,
    pub issuer: Option<String>,
    pub engine: Option<String>,
    pub connection: Option<String>,
    pub state: Option<State>,
    pub issued_before: Option<OffsetDateTime>,
    /// The name in the target.
    pub upstream: Option<String>,
    /// A keyed hash of something that was handed out, under any generation.
    pub marks: Option<Vec<Uuid>>,
    /// Only those of this revocation.
    pub revocation: Option<Uuid>,
}

/// A lease, how it stands with taking it back, and whose it is.
#[derive(Clone, Debug)]
pub struct Found {
    pub lease: Lease,
    /// A worker has claimed it.
    pub claimed: bool,
    pub wanted_at: Option<OffsetDateTime>,
    pub session: Whose,
}

/// A session without its claims.
#[derive(Clone, Debug)]
pub struct Whose {
    pub id: Uuid,
    pub issuer: String,
    pub role: String,
    pub project: Option<String>,
    pub project_name: Option<String>,
    pub run: Option<String>,
    pub attempt: Option<String>,
    pub job: Option<String>,
    pub opened_at: OffsetDateTime,
    pub ends_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

impl Store {
    /// Up to `limit` leases that meet every condition, the newest first, those after `after` in that order.
    pub async fn find_leases(&self, wanted: &Wanted, after: Option<Uuid>, limit: i64) -> Result<Vec<Found>, StoreError> {
        let mut tx = self.search().await?;
        let rows = sqlx::query!(
            r#"select l.id, l.session_id, l.role, l.credential, l.engine, l.connection, l.upstream, l.state, l.revocable,
                      l.issued_at, l.expires_at, l.due_at, l.attempt, l.reason, l.ended_at, l.wanted_at,
                      l.claimed_by is not null as "claimed!", s.issuer, s.role as session_role, s.project, s.project_name,
                      s.run, s.attempt as run_attempt, s.job, s.opened_at, s.ends_at, s.ended_at as session_ended_at
               from daypass.leases l join daypass.sessions s on s.id = l.session_id
               where ($1::uuid is null or l.id = $1)
                 and ($2::uuid is null or l.session_id = $2)
                 and ($3::text is null or s.job = $3)
                 and ($4::text is null or s.run = $4)
                 and ($5::text is null or l.session_id = any (array(
                     select w.id from daypass.sessions w where w.project = $5 or lower(w.project_name) = lower($5))))
                 and ($6::text is null or l.role = $6)
                 and ($7::text is null or s.issuer = $7)
                 and ($8::text is null or l.engine = $8)
                 and ($9::text is null or l.connection = $9)
                 and ($10::text is null or l.state = $10)
                 and ($11::timestamptz is null or l.issued_at < $11)
                 and ($12::text is null or l.upstream = $12)
                 and ($13::uuid[] is null or l.id = any (array(
                     select m.lease_id from daypass.lease_marks m where m.mark = any ($13)
                     union all
                     select m.id from daypass.leases m where m.marks is not null and daypass.each_mark(m.marks) && $13)))
                 and ($14::uuid is null or l.revocation = $14)
                 and ($15::uuid is null or l.id < $15)
               order by l.id desc limit $16"#,
            wanted.lease,
            wanted.session,
            wanted.job,
            wanted.run,
            wanted.repository,
            wanted.role,
            wanted.issuer,
            wanted.engine,
            wanted.connection,
            wanted.state.map(State::as_str),
            wanted.issued_before,
            wanted.upstream,
            wanted.marks.as_deref(),
            wanted.revocation,
            after,
            limit
        )
        .fetch_all(tx.connection())
        .await?;
        let found = rows.into_iter().map(|row| {
            Ok(Found {
                lease: Lease {
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
                },
                claimed: row.claimed,
                wanted_at: row.wanted_at,
                session: Whose {
                    id: row.session_id,
                    issuer: row.issuer,
                    role: row.session_role,
                    project: row.project,
                    project_name: row.project_name,
                    run: row.run,
                    attempt: row.run_attempt,
                    job: row.job,
                    opened_at: row.opened_at,
                    ends_at: row.ends_at,
                    ended_at: row.session_ended_at,
                },
            })
        });
        found.collect()
    }

    /// How many leases meet every condition and have ended, counted no further than `most`.
    pub async fn count_gone(&self, wanted: &Wanted, most: i64) -> Result<u64, StoreError> {
        let mut tx = self.search().await?;
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from (
                 select from daypass.leases l join daypass.sessions s on s.id = l.session_id
                 where l.due_at is null
                   and ($1::uuid is null or l.id = $1)
                   and ($2::uuid is null or l.session_id = $2)
                   and ($3::text is null or s.job = $3)
                   and ($4::text is null or s.run = $4)
                   and ($5::text is null or l.session_id = any (array(
                       select w.id from daypass.sessions w where w.project = $5 or lower(w.project_name) = lower($5))))
                   and ($6::text is null or l.role = $6)
                   and ($7::text is null or s.issuer = $7)
                   and ($8::text is null or l.engine = $8)
                   and ($9::text is null or l.connection = $9)
                   and ($10::text is null or l.state = $10)
                   and ($11::timestamptz is null or l.issued_at < $11)
                 limit $12) as gone"#,
            wanted.lease,
            wanted.session,
            wanted.job,
            wanted.run,
            wanted.repository,
            wanted.role,
            wanted.issuer,
            wanted.engine,
            wanted.connection,
            wanted.state.map(State::as_str),
            wanted.issued_before,
            most
        )
        .fetch_one(tx.connection())
        .await?;
        Ok(count.unsigned_abs())
    }
}

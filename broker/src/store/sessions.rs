//! Sessions and the uses of tokens that opened them.

use domain::audit;
use domain::claims::Claims;
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::Stored;
use super::{NewSession, Store, StoreError, There, Tx, one_row};

/// What a verified token opened.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: Uuid,
    pub issuer: String,
    pub role: String,
    /// As the audit record of the opening has them.
    pub claims: Claims,
    /// Some of the claims were erased: nothing can be decided for this session any more.
    pub erased: bool,
    pub project: Option<String>,
    pub project_name: Option<String>,
    pub run: Option<String>,
    pub attempt: Option<String>,
    pub job: Option<String>,
    pub idempotency: Option<[u8; 32]>,
    pub opened_at: OffsetDateTime,
    pub ends_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

impl Session {
    /// Whether it has not ended. One whose claims were erased can still give back what it holds.
    pub fn is_open(&self, now: OffsetDateTime) -> bool {
        self.ended_at.is_none() && now < self.ends_at
    }
}

struct Row {
    id: Uuid,
    issuer: String,
    role: String,
    opened_by: Uuid,
    project: Option<String>,
    project_name: Option<String>,
    run: Option<String>,
    attempt: Option<String>,
    job: Option<String>,
    idempotency: Option<Vec<u8>>,
    opened_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

impl Session {
    fn read(row: Row, Stored { record, personal, .. }: Stored) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("sessions");
        Ok(Self {
            id: row.id,
            issuer: row.issuer,
            role: row.role,
            claims: record.claims(&personal),
            erased: record.personal.keys().any(|name| !personal.contains_key(name)),
            project: row.project,
            project_name: row.project_name,
            run: row.run,
            attempt: row.attempt,
            job: row.job,
            idempotency: row.idempotency.map(TryInto::try_into).transpose().map_err(|_| corrupt())?,
            opened_at: row.opened_at,
            ends_at: row.ends_at,
            ended_at: row.ended_at,
        })
    }
}

impl Store {
    /// The session of a session token, ended or not: its id and the SHA-256 of the whole.
    pub async fn session_by_token(&self, id: Uuid, token_hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        self.find_session(id, Some(token_hash)).await
    }

    /// The session of this id, ended or not.
    pub async fn session(&self, id: Uuid) -> Result<Option<Session>, StoreError> {
        self.find_session(id, None).await
    }

    async fn find_session(&self, id: Uuid, token_hash: Option<&[u8; 32]>) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            "select id, issuer, role, opened_by, project, project_name, run, attempt, job, idempotency, opened_at, ends_at, ended_at
             from daypass.sessions where id = $1 and ($2::bytea is null or token_hash = $2)",
            id,
            token_hash.map(<[u8; 32]>::as_slice)
        )
        .fetch_optional(self.pool())
        .there(self)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let opening = self.record(row.opened_by).await?.ok_or(StoreError::Corrupt("sessions"))?;
        Session::read(row, opening).map(Some)
    }

    /// Forgets up to `limit` uses whose tokens no verifier accepts any more.
    pub async fn forget_uses(&self, now: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
        let result = sqlx::query!(
            "delete from daypass.token_uses where (token_key, use_number) in (
                 select token_key, use_number from daypass.token_uses where keep_until < $1
                 limit $2 for update skip locked)",
            now,
            limit
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(result.rows_affected())
    }

    /// Forgets up to `limit` sessions that ended before `before` and have neither leases nor a use that is still kept.
    pub async fn forget_sessions(&self, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
        let result = sqlx::query!(
            "with old as materialized (
                 select s.id from daypass.sessions s
                 where s.ends_at < $1
                   -- Asked for each session by itself: joined, every lease there is would be read first.
                   and (select true from daypass.leases l where l.session_id = s.id limit 1) is null
                 limit $2 for update skip locked)
             -- The uses are read once, and only where there are old sessions.
             delete from daypass.sessions where id in (
                 select old.id from old where not exists (select from daypass.token_uses u where u.session_id = old.id))",
            before,
            limit
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(result.rows_affected())
    }

    /// Ends a session and gives its leases back, with what the log says of it. `None`: it had ended before.
    pub async fn end_session(
        &self,
        id: Uuid,
        now: OffsetDateTime,
        audit: &[audit::Record],
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        self.whole(async {
            let mut tx = self.begin().await?;
            let Some(released) = tx.end_session(id, now).await? else { return Ok(None) };
            tx.remember(audit).await?;
            tx.commit().await?;
            Ok(Some(released))
        })
        .await
    }
}

impl Tx {
    /// Ends a session and gives its leases back. `None`: it had ended before, or is not known.
    pub async fn end_session(&mut self, id: Uuid, now: OffsetDateTime) -> Result<Option<Vec<Uuid>>, StoreError> {
        // Leases before the session, in the order in which the group writer locks; then once more for those that were
        // made while this waited for the session's row.
        let before = self.release_of(id, now).await?;
        let ended = sqlx::query!("update daypass.sessions set ended_at = $1 where id = $2 and ended_at is null", now, id)
            .execute(self.connection())
            .await?;
        if !one_row(&ended) {
            return Ok(None);
        }
        let after = self.release_of(id, now).await?;
        Ok(Some([before, after].concat()))
    }

    async fn release_of(&mut self, session_id: Uuid, now: OffsetDateTime) -> Result<Vec<Uuid>, StoreError> {
        let ids = sqlx::query_scalar!(
            "select id from daypass.leases where session_id = $1 and state in ('pending', 'active', 'fenced')",
            session_id
        )
        .fetch_all(self.connection())
        .await?;
        self.begin_release(&ids, now).await
    }
}

/// The session that a use of the token with this key opened, else the one that the latest use opened: ids of sessions grow
/// with time.
pub(super) async fn opened_by_token(
    store: &Store,
    token_key: Uuid,
    idempotency: Option<&[u8; 32]>,
) -> Result<Option<Uuid>, StoreError> {
    sqlx::query_scalar!(
        "select u.session_id from daypass.token_uses u join daypass.sessions s on s.id = u.session_id where u.token_key = $1
         order by s.idempotency is not distinct from $2 desc, u.session_id desc limit 1",
        token_key,
        idempotency.map(<[u8; 32]>::as_slice)
    )
    .fetch_optional(store.pool())
    .there(store)
    .await
}

impl Tx {
    /// Opens a session that no token opened, an operator's first, with the record that tells of it.
    pub async fn open_session(&mut self, session: &NewSession, opening: &audit::Record) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into daypass.sessions (id, token_hash, opened_by, issuer, role, opened_at, ends_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            session.id,
            &session.token_hash,
            opening.id,
            session.issuer,
            session.role,
            session.opened_at,
            session.ends_at
        )
        .execute(self.connection())
        .await?;
        self.remember(std::slice::from_ref(opening)).await
    }
}

/// Gives the token back its use when nothing came of the exchange that spent it: no lease of the session is open, and
/// nothing was granted. As a lease of it has been taken back, nothing can be granted any more.
pub(super) async fn free_use(tx: &mut Tx, session_id: Uuid) -> Result<(), StoreError> {
    // A session has the id of the decision that opened it. The row is locked by a statement of its own, so that of two workers that settle the last two leases the second one
    // sees what the first one did.
    let ungranted = sqlx::query_scalar!(
        "select id from daypass.sessions s
         where s.id = $1
           -- In the two ways that there are indexes for: the decision that opened the session, and those that came in it.
           and not exists (select from daypass.audit_records a where a.decision_id = $1 and a.kind = 'exchange.granted')
           and not exists (
               select from daypass.audit_records a
               where a.session_id = $1 and a.session_id <> a.decision_id and a.kind = 'exchange.granted')
         for no key update",
        session_id
    )
    .fetch_optional(tx.connection())
    .await?;
    if ungranted.is_none() {
        return Ok(());
    }
    // A lease of the session says which token it was: an index over the sessions of uses would cost every exchange.
    sqlx::query!(
        "delete from daypass.token_uses u
         where u.token_key = any (array(select l.token_key from daypass.leases l where l.session_id = $1 and l.token_key is not null))
           and u.session_id = $1
           and not exists (select from daypass.leases l where l.session_id = $1 and l.due_at is not null)",
        session_id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

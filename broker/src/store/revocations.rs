//! Revocations of many leases at once: they are marked in batches, the workers take them back, and what became of them
//! can be followed by the mark.

use domain::audit;
use domain::lease::State;
use time::OffsetDateTime;
use uuid::Uuid;

use super::leases::Wanted;
use super::{Store, StoreError, There, Tx};

/// What one batch asked back.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Open leases that belong to the revocation from now on.
    pub marked: Vec<Uuid>,
    /// Where the next batch begins; none when this was the last.
    pub after: Option<Uuid>,
}

/// How many leases of a revocation are in a state, and why they are not gone.
#[derive(Clone, Debug)]
pub struct Share {
    pub state: State,
    pub reason: Option<String>,
    pub leases: u64,
    /// The first of the next tries of those that no worker has in hand.
    pub next_try: Option<OffsetDateTime>,
}

impl Store {
    /// How a revocation stands.
    pub async fn revocation(&self, id: Uuid) -> Result<Vec<Share>, StoreError> {
        let rows = sqlx::query!(
            r#"select state, case when due_at is null then null else reason end as reason, count(*) as "leases!",
                      min(due_at) filter (where claimed_by is null) as next_try
               from daypass.leases where revocation = $1 group by 1, 2 order by 3 desc limit 100"#,
            id
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let share = rows.into_iter().map(|row| {
            Ok(Share {
                state: row.state.parse().map_err(|_| StoreError::Corrupt("leases"))?,
                reason: row.reason,
                leases: row.leases.unsigned_abs(),
                next_try: row.next_try,
            })
        });
        share.collect()
    }

    /// Asks a batch of the open leases that are wanted back, with what the log says of it, told how many they are. Those
    /// whose kind cannot be taken back are marked all the same, so that it can be told how long they live.
    pub async fn revoke_batch(
        &self,
        revocation: Uuid,
        wanted: &Wanted,
        after: Option<Uuid>,
        limit: i64,
        now: OffsetDateTime,
        record: impl FnOnce(usize) -> audit::Record,
    ) -> Result<Batch, StoreError> {
        let mut tx = self.begin().await?;
        tx.plan_for_values().await?;
        let ids = tx.open_leases(wanted, after, limit).await?;
        let full = i64::try_from(ids.len()) == Ok(limit);
        let next = ids.last().copied().filter(|_| full);
        if ids.is_empty() {
            return Ok(Batch::default());
        }
        let marked = tx.mark_revocation(revocation, &ids, now).await?;
        tx.remember(&[record(marked.len())]).await?;
        tx.commit().await?;
        Ok(Batch { marked, after: next })
    }
}

impl Tx {
    async fn open_leases(&mut self, wanted: &Wanted, after: Option<Uuid>, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select l.id from daypass.leases l join daypass.sessions s on s.id = l.session_id
               where l.due_at is not null
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
                 and ($12::uuid is null or l.id > $12)
               order by l.id limit $13"#,
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
            after,
            limit
        )
        .fetch_all(self.connection())
        .await?)
    }

    /// Gives open leases back as [`Tx::begin_release`] does, and puts the revocation's mark on them. What failed before is
    /// tried again at once; what a worker has in hand, or still waits for its create deadline, keeps its time.
    pub async fn mark_revocation(
        &mut self,
        revocation: Uuid,
        ids: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, StoreError> {
        self.begin_release(ids, now).await?;
        Ok(sqlx::query_scalar!(
            "with open as materialized (
                 select id from daypass.leases where id = any($1::uuid[]) and due_at is not null order by id for no key update
             )
             update daypass.leases l
             set revocation = $2,
                 due_at = case when l.state = 'revoking' and l.claimed_by is null and l.attempt > 0 then least(l.due_at, $3)
                          else l.due_at end
             from open where l.id = open.id
             returning l.id",
            ids,
            revocation,
            now
        )
        .fetch_all(self.connection())
        .await?)
    }
}

//! Leases that end by their own clock. Nothing is to be done about them but to write it down, many at a time.

use domain::audit;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Store, StoreError, There};
use crate::system::NoEntropy;

/// A passive lease whose end has come.
#[derive(Clone, Debug)]
pub struct Expiring {
    pub id: Uuid,
    pub session_id: Uuid,
    pub role: String,
    pub engine: String,
    pub attempt: i32,
    /// When it ended.
    pub due_at: OffsetDateTime,
}

impl Store {
    /// Writes up to `limit` passive leases off whose end has come, with what the log says of each; none while there is a
    /// hold. Answers them.
    pub async fn expire_leases(
        &self,
        now: OffsetDateTime,
        limit: i64,
        record: impl Fn(&Expiring) -> Result<audit::Record, NoEntropy> + Send,
    ) -> Result<Vec<Expiring>, StoreError> {
        let mut tx = self.begin().await?;
        let expiring = sqlx::query_as!(
            Expiring,
            "select id, session_id, role, engine, attempt, due_at as \"due_at!\" from daypass.leases
                     where state = 'passive' and due_at <= $1 and not exists (select from daypass.holds)
                     order by due_at limit $2 for no key update skip locked",
            now,
            limit
        )
        .fetch_all(tx.connection())
        .there(self)
        .await?;
        if expiring.is_empty() {
            return Ok(expiring);
        }
        let records = expiring.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<Uuid> = expiring.iter().map(|lease| lease.id).collect();
        let written = sqlx::query!(
            "update daypass.leases
             set state = 'expired', due_at = null, wanted_at = coalesce(wanted_at, due_at), ended_at = $2, handle = '',
                 attempt = attempt + 1
             where id = any ($1::uuid[])",
            &ids,
            now
        );
        written.execute(tx.connection()).there(self).await?;
        tx.remember(&records).await?;
        tx.commit().await?;
        Ok(expiring)
    }
}

//! Whether taking back waits, because the database forgot what happened after its backup.

use domain::audit;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There, Tx, one_row};

/// Nothing is taken back until an operator ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub since: OffsetDateTime,
    pub reason: String,
}

/// What one look at the database's memory shows.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The newest record of the log.
    pub newest: Option<Uuid>,
    /// Whether the record that was asked for still stands. Records are never deleted.
    pub stands: bool,
    pub held: bool,
}

impl Store {
    /// The hold, if there is one.
    pub async fn hold(&self) -> Result<Option<Hold>, StoreError> {
        sqlx::query_as!(Hold, "select since, reason from daypass.holds").fetch_optional(self.pool()).there(self).await
    }

    /// The newest record of the log, and whether `remembered` still stands in it.
    pub async fn memory(&self, remembered: Option<Uuid>) -> Result<Memory, StoreError> {
        sqlx::query_as!(
            Memory,
            r#"select (select id from daypass.audit_records order by id desc limit 1) as newest,
                      ($1::uuid is null or exists (select from daypass.audit_records where id = $1)) as "stands!",
                      exists (select from daypass.holds) as "held!""#,
            remembered
        )
        .fetch_one(self.pool())
        .there(self)
        .await
    }

    /// Lets taking back wait. `false`: it does already.
    pub async fn begin_hold(&self, hold: &Hold, audit: &audit::Record) -> Result<bool, StoreError> {
        self.whole(async {
            let mut tx = self.begin().await?;
            let begun = sqlx::query!(
                "insert into daypass.holds (since, reason) values ($1, $2) on conflict do nothing",
                hold.since,
                hold.reason
            )
            .execute(tx.connection())
            .await?;
            if !one_row(&begun) {
                return Ok(false);
            }
            tx.remember(std::slice::from_ref(audit)).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}

impl Tx {
    /// Lets taking back go on. Answers the hold that there was.
    pub async fn lift_hold(&mut self) -> Result<Option<Hold>, StoreError> {
        Ok(sqlx::query_as!(Hold, "delete from daypass.holds returning since, reason").fetch_optional(self.connection()).await?)
    }
}

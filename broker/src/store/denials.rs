//! Refusals that are counted rather than recorded one by one, so that nobody can fill the disk with them.

use time::OffsetDateTime;

use super::{Store, StoreError, There};

/// So many refusals of one kind in one minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denials {
    /// The beginning of the minute.
    pub minute: OffsetDateTime,
    /// Empty where no issuer was recognised.
    pub issuer: String,
    /// Empty where the project is not known.
    pub project: String,
    pub code: String,
    pub count: i64,
}

impl Store {
    /// Adds counts to those that are kept.
    pub async fn add_denials(&self, mut counts: Vec<Denials>) -> Result<(), StoreError> {
        // One order for all replicas, so that none waits in a circle; one row per key, as the statement demands.
        counts.sort();
        counts.dedup_by(|next, held| {
            let same =
                (next.minute, &next.issuer, &next.project, &next.code) == (held.minute, &held.issuer, &held.project, &held.code);
            if same {
                held.count = held.count.saturating_add(next.count);
            }
            same
        });
        let minutes: Vec<_> = counts.iter().map(|denials| denials.minute).collect();
        let issuers: Vec<_> = counts.iter().map(|denials| denials.issuer.as_str()).collect();
        let projects: Vec<_> = counts.iter().map(|denials| denials.project.as_str()).collect();
        let codes: Vec<_> = counts.iter().map(|denials| denials.code.as_str()).collect();
        let numbers: Vec<_> = counts.iter().map(|denials| denials.count).collect();
        sqlx::query!(
            "insert into daypass.denial_counts as held (minute, issuer, project, code, count)
             select * from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[])
             on conflict (minute, issuer, project, code) do update set count = held.count + excluded.count",
            &minutes,
            &issuers as _,
            &projects as _,
            &codes as _,
            &numbers
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(())
    }

    /// Removes counts of before. Answers how many; a full batch means that there may be more.
    pub async fn forget_denials(&self, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
        let result = sqlx::query!(
            "delete from daypass.denial_counts where (minute, issuer, project, code) in (
                 select minute, issuer, project, code from daypass.denial_counts
                 where minute < $1 order by minute limit $2 for update skip locked)",
            before,
            limit
        )
        .execute(self.pool())
        .there(self)
        .await?;
        Ok(result.rows_affected())
    }

    /// The counts since `since`, oldest first.
    pub async fn denials(&self, since: OffsetDateTime) -> Result<Vec<Denials>, StoreError> {
        sqlx::query_as!(
            Denials,
            "select minute, issuer, project, code, count from daypass.denial_counts where minute >= $1
             order by minute, issuer, project, code",
            since
        )
        .fetch_all(self.pool())
        .there(self)
        .await
    }
}

//! Decisions out of the audit trail, one record each, to be decided once more.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{Row, Stored};
use super::{Store, StoreError, There};

/// Ids are made a moment before or after the record's time.
const SLACK: time::Duration = time::Duration::minutes(5);

impl Store {
    /// Up to `limit` decisions since `since` and before `before`, the newest first: the last record of each, so that what was
    /// asked and then granted stands there once.
    pub async fn decisions(&self, since: OffsetDateTime, before: Option<Uuid>, limit: i64) -> Result<Vec<Stored>, StoreError> {
        // Ids grow with time, so that the primary key finds the beginning.
        let begin = u64::try_from((since - SLACK).unix_timestamp()).unwrap_or(0).saturating_mul(1_000);
        let begin = uuid::Builder::from_unix_timestamp_millis(begin, &[0; 10]).into_uuid();
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where r.kind in ('exchange.granted', 'exchange.rejoined', 'exchange.denied', 'exchange.failed',
                                'session.granted', 'session.denied', 'session.failed')
                 and r.id >= $1 and r.at >= $2 and ($3::uuid is null or r.id < $3)
               order by r.id desc limit $4"#,
            begin,
            since,
            before,
            limit
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        rows.into_iter().map(Stored::read).collect()
    }

    /// How many refusals of known issuers were only counted since then, by code.
    pub async fn only_counted(&self, since: OffsetDateTime) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows = sqlx::query!(
            r#"select code, sum(count)::bigint as "count!" from daypass.denial_counts
               where minute >= $1 and issuer <> '' group by code"#,
            since
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        Ok(rows.into_iter().map(|row| (row.code, row.count.unsigned_abs())).collect())
    }
}

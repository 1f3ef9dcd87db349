//! Decisions out of the audit trail, one record each, to be decided once more.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{Row, Stored, earliest_id};
use super::{Store, StoreError, There};

impl Store {
    /// Up to `limit` decisions since `since` and before `before`, the newest first: the last record of each, so that what was
    /// asked and then granted stands there once.
    pub async fn decisions(&self, since: OffsetDateTime, before: Option<Uuid>, limit: i64) -> Result<Vec<Stored>, StoreError> {
        // Always compared, so that the key finds the end as well: each page begins where the one before it ended.
        let before = before.unwrap_or(Uuid::max());
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where r.kind in ('exchange.granted', 'exchange.rejoined', 'exchange.denied', 'exchange.failed',
                                'session.granted', 'session.denied', 'session.failed')
                 and r.id >= $1 and r.at >= $2 and r.id < $3
               order by r.id desc limit $4"#,
            earliest_id(since),
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

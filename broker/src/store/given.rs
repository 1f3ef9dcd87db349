//! What was handed out, as the audit trail remembers it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{Row, Stored};
use super::stops::Stop;
use super::{Store, StoreError};

impl Store {
    /// Up to `limit` records before `before`, the newest first, that tell of something handed out to whom the stop's
    /// conditions describe, as far as a record's columns and its session say.
    pub async fn handed_out(&self, stop: &Stop, before: Option<Uuid>, limit: i64) -> Result<Vec<Stored>, StoreError> {
        let until: Option<OffsetDateTime> = stop.issued_before;
        let mut tx = self.begin().await?;
        tx.plan_for_values().await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where r.kind in ('exchange.granted', 'session.granted', 'secret.read')
                 and ($1::text is null or r.project = $1 or r.project_name = $1)
                 and ($2::text is null or r.session_id in (select s.id from daypass.sessions s where s.run = $2))
                 and ($3::text is null or r.role = $3)
                 and ($4::text is null or r.issuer = $4)
                 and ($5::timestamptz is null or r.at < $5)
                 and ($6::uuid is null or r.id < $6)
               order by r.id desc limit $7"#,
            stop.repository,
            stop.run,
            stop.role,
            stop.issuer,
            until,
            before,
            limit
        )
        .fetch_all(tx.connection())
        .await?;
        rows.into_iter().map(Stored::read).collect()
    }
}

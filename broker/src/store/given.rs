//! What was handed out, as the audit trail remembers it.
//!
//! No index leads from a project or a role to its records: every exchange would pay for a question that is asked once a year.
//! They are read from the newest to the oldest, so many at a time, and whoever asks goes on from there.

use time::OffsetDateTime;
use uuid::Uuid;

use super::audit::{Row, Stored, earliest_id};
use super::stops::Stop;
use super::{Store, StoreError, There};

/// What one look has found, newest first, and where the next one begins, unless it came to the end.
#[derive(Debug)]
pub struct HandedOut {
    pub records: Vec<Stored>,
    pub next: Option<Uuid>,
}

impl Store {
    /// Up to `limit` records, of the `window` newest before `before`, that tell of something handed out to whom the stop's
    /// conditions describe, as far as a record's columns and its session say.
    pub async fn handed_out(&self, stop: &Stop, before: Option<Uuid>, limit: i64, window: i64) -> Result<HandedOut, StoreError> {
        let until: Option<OffsetDateTime> = stop.issued_before;
        let before = before.unwrap_or(Uuid::max());
        let mut tx = self.search().await?;
        // Of a run nothing was written before its first session.
        let mut floor = Uuid::nil();
        if let Some(run) = &stop.run {
            let opened = sqlx::query_scalar!("select min(opened_at) from daypass.sessions where run = $1", run)
                .fetch_one(tx.connection())
                .there(self)
                .await?;
            let Some(opened) = opened else { return Ok(HandedOut { records: Vec::new(), next: None }) };
            floor = earliest_id(opened);
        }
        let begin = sqlx::query_scalar!(
            "select id from daypass.audit_records where id < $1 and id >= $2 order by id desc offset $3 limit 1",
            before,
            floor,
            window.saturating_sub(1)
        )
        .fetch_optional(tx.connection())
        .there(self)
        .await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where r.kind in ('exchange.granted', 'session.granted', 'secret.read')
                 and ($1::text is null or r.project = $1 or lower(r.project_name) = lower($1))
                 and ($2::text is null or r.session_id in (select s.id from daypass.sessions s where s.run = $2))
                 and ($3::text is null or r.role = $3)
                 and ($4::text is null or r.issuer = $4)
                 and ($5::timestamptz is null or r.at < $5)
                 and r.id < $6 and r.id >= $7
               order by r.id desc limit $8"#,
            stop.repository,
            stop.run,
            stop.role,
            stop.issuer,
            until,
            before,
            begin.unwrap_or(floor),
            limit
        )
        .fetch_all(tx.connection())
        .there(self)
        .await?;
        let full = i64::try_from(rows.len()) == Ok(limit);
        let last = rows.last().map(|row| row.id).filter(|_| full);
        let records = rows.into_iter().map(Stored::read).collect::<Result<_, _>>()?;
        Ok(HandedOut { records, next: last.or(begin) })
    }
}

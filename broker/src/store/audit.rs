//! Audit records: inserted with the change they tell of, listed, never changed.

use std::collections::BTreeMap;

use domain::audit::{Record, leaf};
use domain::wire::{AuditEntry, AuditQuery};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError};

/// How many records a list holds unless told, and at most.
const LIST: (u32, u32) = (50, 500);

/// A record as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Read back from the canonical bytes.
    pub record: Record,
    pub leaf: [u8; 32],
    /// Clear values that were not erased.
    pub personal: BTreeMap<String, String>,
}

impl Stored {
    /// As an operator sees it.
    pub fn entry(&self) -> AuditEntry {
        AuditEntry {
            id: self.record.id.to_string(),
            at: self.record.at,
            kind: self.record.kind.as_str().to_owned(),
            leaf: domain::audit::hex(&self.leaf),
            fields: self.record.as_text(&self.personal),
        }
    }
}

/// Inserts records inside the caller's transaction.
pub(super) async fn insert(connection: &mut PgConnection, records: &[Record]) -> Result<(), StoreError> {
    for record in records {
        let canonical = record.canonical();
        sqlx::query!(
            "insert into daypass.audit_records (id, at, kind, decision_id, session_id, lease_id, issuer, project,
                                                project_name, role, code, canonical, leaf)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            record.id,
            record.at,
            record.kind.as_str(),
            record.decision_id,
            record.session_id,
            record.lease_id,
            record.issuer,
            record.project,
            record.project_name,
            record.role,
            record.code,
            canonical,
            &leaf(&canonical)
        )
        .execute(&mut *connection)
        .await?;
        for (name, clear) in record.personal.iter().filter_map(|(name, value)| Some((name, value.clear()?))) {
            sqlx::query!(
                "insert into daypass.audit_personal (record_id, name, salt, value) values ($1, $2, $3, $4)",
                record.id,
                name,
                &clear.salt,
                clear.value
            )
            .execute(&mut *connection)
            .await?;
        }
    }
    Ok(())
}

impl Store {
    /// Records that meet every condition of `query`, the newest first. An id that is no id meets nothing.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<Stored>, StoreError> {
        let about = query.about.as_deref().map(Uuid::parse_str).transpose();
        let before = query.before.as_deref().map(Uuid::parse_str).transpose();
        let (Ok(about), Ok(before)) = (about, before) else { return Ok(Vec::new()) };
        let limit = query.limit.unwrap_or(LIST.0).clamp(1, LIST.1);
        let rows = sqlx::query!(
            r#"select r.canonical, r.leaf,
                      coalesce((select json_object_agg(p.name, p.value) from daypass.audit_personal p
                                where p.record_id = r.id), '{}')::text as "personal!"
               from daypass.audit_records r
               where ($1::text is null or r.kind = $1)
                 and ($2::text is null or r.issuer = $2)
                 and ($3::text is null or r.project = $3 or r.project_name = $3)
                 and ($4::text is null or r.role = $4)
                 and ($5::text is null or r.code = $5)
                 and ($6::uuid is null or r.decision_id = $6 or r.session_id = $6 or r.lease_id = $6)
                 and ($7::uuid is null or r.id < $7)
               order by r.id desc limit $8"#,
            query.kind,
            query.issuer,
            query.project,
            query.role,
            query.code,
            about,
            before,
            i64::from(limit)
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let corrupt = || StoreError::Corrupt("audit_records");
                let leaf = <[u8; 32]>::try_from(row.leaf).map_err(|_| corrupt())?;
                if leaf != domain::audit::leaf(&row.canonical) {
                    return Err(corrupt());
                }
                Ok(Stored {
                    record: Record::parse(&row.canonical).map_err(|_| corrupt())?,
                    leaf,
                    personal: serde_json::from_str(&row.personal).map_err(|_| StoreError::Corrupt("audit_personal"))?,
                })
            })
            .collect()
    }
}

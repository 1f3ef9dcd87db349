//! Audit records: inserted with the change they tell of, listed, never changed.

use std::collections::BTreeMap;

use domain::audit::{Kind, Personal, Record, leaf};
use domain::claims::Json;
use domain::wire::{AuditEntry, AuditQuery};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, There, packed};

/// How many records a list holds unless told, and at most.
const LIST: (u32, u32) = (50, 500);

/// A record as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Read back from the canonical bytes.
    pub record: Record,
    pub leaf: [u8; 32],
    /// Clear values that were not erased.
    pub personal: BTreeMap<String, Json>,
}

/// What is written of a record, computed where nobody waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) packed: Vec<u8>,
    pub(super) leaf: [u8; 32],
    /// The values that name a person, as a JSON object; none where there are none.
    pub(super) named: Option<String>,
    /// Their salts, one after the other.
    pub(super) salts: Vec<u8>,
}

impl Entry {
    pub(super) fn of(record: &Record) -> Result<Self, StoreError> {
        let canonical = record.canonical();
        let clear = record.personal.iter().filter_map(|(name, value)| Some((name.as_str(), value.clear()?)));
        let salts: Vec<u8> = clear.clone().flat_map(|(_, clear)| clear.salt).collect();
        let named: BTreeMap<&str, &Json> = clear.map(|(name, clear)| (name, &clear.value)).collect();
        let named = (!named.is_empty()).then(|| serde_json::to_string(&named)).transpose();
        Ok(Self {
            packed: packed::pack(record),
            leaf: leaf(&canonical),
            named: named.map_err(|_| StoreError::Corrupt("audit_personal"))?,
            salts,
        })
    }
}

/// A record's columns, with those of its personal values.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) at: OffsetDateTime,
    pub(super) kind: String,
    pub(super) decision_id: Uuid,
    pub(super) session_id: Option<Uuid>,
    pub(super) lease_id: Option<Uuid>,
    pub(super) issuer: Option<String>,
    pub(super) project: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) role: Option<String>,
    pub(super) code: Option<String>,
    pub(super) packed: Vec<u8>,
    pub(super) leaf: Vec<u8>,
    pub(super) named: Option<String>,
    pub(super) salts: Option<Vec<u8>>,
}

impl Stored {
    /// From its columns. What does not meet its hash is not believed, be it the whole or a value that names a person.
    pub(super) fn read(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("audit_records");
        let mut frame = Record::new(row.id, row.at, row.kind.parse().map_err(|_| corrupt())?, row.decision_id);
        (frame.session_id, frame.lease_id) = (row.session_id, row.lease_id);
        (frame.issuer, frame.project, frame.project_name) = (row.issuer, row.project, row.project_name);
        (frame.role, frame.code) = (row.role, row.code);
        let record = packed::unpack(frame, &row.packed).map_err(|_| corrupt())?;
        let leaf = <[u8; 32]>::try_from(row.leaf).map_err(|_| corrupt())?;
        if leaf != domain::audit::leaf(&record.canonical()) {
            return Err(corrupt());
        }
        let personal = match row.named {
            Some(named) => clear(&record, &named, &row.salts.unwrap_or_default()),
            None => Some(BTreeMap::new()),
        };
        Ok(Self { record, leaf, personal: personal.ok_or(StoreError::Corrupt("audit_personal"))? })
    }

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

/// The values that name a person; none unless each of them, with its salt, is the one that the record commits to.
fn clear(record: &Record, named: &str, salts: &[u8]) -> Option<BTreeMap<String, Json>> {
    let named: BTreeMap<String, Json> = serde_json::from_str(named).ok()?;
    let (salts, rest) = salts.as_chunks::<16>();
    let meets = |(name, value): (&String, &Json), salt: &[u8; 16]| {
        record.personal.get(name).is_some_and(|held| held.hash() == Personal::new(*salt, value.clone()).hash())
    };
    let sound = rest.is_empty() && salts.len() == named.len() && named.iter().zip(salts).all(|(value, salt)| meets(value, salt));
    sound.then_some(named)
}

/// Inserts records inside the caller's transaction, all in one statement.
pub(super) async fn insert(connection: &mut PgConnection, records: &[Record]) -> Result<(), StoreError> {
    let entries = records.iter().map(Entry::of).collect::<Result<Vec<_>, _>>()?;
    let kinds: Vec<&str> = records.iter().map(|record| record.kind.as_str()).collect();
    let packed: Vec<&[u8]> = entries.iter().map(|entry| entry.packed.as_slice()).collect();
    let leaves: Vec<&[u8]> = entries.iter().map(|entry| entry.leaf.as_slice()).collect();
    let column = |of: fn(&Record) -> Option<&str>| records.iter().map(of).collect::<Vec<_>>();
    sqlx::query!(
        "insert into daypass.audit_records (id, at, kind, decision_id, session_id, lease_id, issuer, project, project_name, role,
                                            code, packed, leaf)
         select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                              $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[])",
        &records.iter().map(|record| record.id).collect::<Vec<_>>(),
        &records.iter().map(|record| record.at).collect::<Vec<_>>(),
        &kinds as _,
        &records.iter().map(|record| record.decision_id).collect::<Vec<_>>(),
        &records.iter().map(|record| record.session_id).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.lease_id).collect::<Vec<_>>() as _,
        &column(|record| record.issuer.as_deref()) as _,
        &column(|record| record.project.as_deref()) as _,
        &column(|record| record.project_name.as_deref()) as _,
        &column(|record| record.role.as_deref()) as _,
        &column(|record| record.code.as_deref()) as _,
        &packed as _,
        &leaves as _
    )
    .execute(&mut *connection)
    .await?;
    let named = records.iter().zip(&entries).filter_map(|(record, entry)| Some((record.id, entry.named.as_deref()?, entry)));
    let (mut ids, mut texts, mut salts) = (Vec::new(), Vec::new(), Vec::new());
    for (id, text, entry) in named {
        ids.push(id);
        texts.push(text);
        salts.push(entry.salts.as_slice());
    }
    if !ids.is_empty() {
        sqlx::query!(
            "insert into daypass.audit_personal (record_id, named, salts)
             select p.id, p.named::json, p.salts from unnest($1::uuid[], $2::text[], $3::bytea[]) as p (id, named, salts)",
            &ids,
            &texts as _,
            &salts as _
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// The earliest id that a record of this time can have, or one a little earlier still: ids grow with time, so that the primary
/// key finds where a time begins.
pub(super) fn earliest_id(at: OffsetDateTime) -> Uuid {
    // They are made a moment before or after the record's time.
    let millis = u64::try_from((at - time::Duration::minutes(5)).unix_timestamp()).unwrap_or(0).saturating_mul(1_000);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

impl Store {
    /// Records that meet every condition of `query`, the newest first. An id that is no id meets nothing.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<Stored>, StoreError> {
        let about = query.about.as_deref().map(Uuid::parse_str).transpose();
        let before = query.before.as_deref().map(Uuid::parse_str).transpose();
        let (Ok(about), Ok(before)) = (about, before) else { return Ok(Vec::new()) };
        let limit = query.limit.unwrap_or(LIST.0).clamp(1, LIST.1);
        let mut tx = self.search().await?;
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where ($1::text is null or r.kind = $1)
                 and ($2::text is null or r.issuer = $2)
                 and ($3::text is null or r.project = $3 or lower(r.project_name) = lower($3))
                 and ($4::text is null or r.role = $4)
                 and ($5::text is null or r.code = $5)
                 and ($6::uuid is null or r.decision_id = $6 or (r.session_id = $6 and r.session_id <> r.decision_id) or r.lease_id = $6)
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
        .fetch_all(tx.connection())
        .await?;
        rows.into_iter().map(Stored::read).collect()
    }

    /// The records of one kind that tell of any of these leases.
    pub async fn records_of_leases(&self, kind: Kind, leases: &[Uuid]) -> Result<Vec<Stored>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id
               where r.lease_id = any($1::uuid[]) and r.kind = $2"#,
            leases,
            kind.as_str()
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        rows.into_iter().map(Stored::read).collect()
    }

    /// One record by its id.
    pub(super) async fn record(&self, id: Uuid) -> Result<Option<Stored>, StoreError> {
        sqlx::query_as!(
            Row,
            r#"select r.id, r.at, r.kind, r.decision_id, r.session_id, r.lease_id, r.issuer, r.project, r.project_name, r.role,
                      r.code, r.packed, r.leaf, p.named::text as "named?", p.salts as "salts?"
               from daypass.audit_records r left join daypass.audit_personal p on p.record_id = r.id where r.id = $1"#,
            id
        )
        .fetch_optional(self.pool())
        .there(self)
        .await?
        .map(Stored::read)
        .transpose()
    }
}

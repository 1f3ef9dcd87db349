//! Policy sets, whole, by the hash that audit records name, and which one was active when.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Store, StoreError, There, Tx};

/// The files of a set, by relative path.
pub type Files = Vec<(String, String)>;

/// Any number, the same in every program that activates sets.
const TURN: i64 = 0x6461_7970_6f6c;

/// A set that became the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    pub id: Uuid,
    pub hash: [u8; 32],
    /// Where it came from: a folder, an operator.
    pub source: String,
    pub at: OffsetDateTime,
    /// For every replica whose source is the database.
    pub pushed: bool,
    pub author: Option<Author>,
    /// The second operator, where one was needed.
    pub approver: Option<Author>,
}

/// Who did something, as the token names them, and the session that the audit trail knows more of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub session: Uuid,
}

/// What replicas follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The set that was pushed last.
    pub active: Option<[u8; 32]>,
    /// The set that looks on.
    pub shadow: Option<[u8; 32]>,
}

impl Tx {
    /// Waits until nobody else changes which set is active. It ends with the transaction.
    pub async fn policy_turn(&mut self) -> Result<(), StoreError> {
        sqlx::query!(r#"select pg_advisory_xact_lock($1)::text as "lock""#, TURN).fetch_one(self.connection()).await?;
        Ok(())
    }

    /// Stores a set, unless it is stored.
    pub async fn store_policy(&mut self, hash: &[u8; 32], files: &Files, now: OffsetDateTime) -> Result<(), StoreError> {
        let files = serde_json::to_value(files).map_err(|_| StoreError::Corrupt("policy_sets"))?;
        sqlx::query!(
            "insert into daypass.policy_sets (hash, files, stored_at) values ($1, $2, $3) on conflict do nothing",
            hash,
            files,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Notes that a stored set became the active one.
    pub async fn activate_policy(&mut self, activated: &Activated) -> Result<(), StoreError> {
        let Activated { id, hash, source, at, pushed, author, approver } = activated;
        let (author, approver) = (author.as_ref(), approver.as_ref());
        sqlx::query!(
            "insert into daypass.policy_activations
                 (id, hash, source, activated_at, pushed, author, author_session, approver, approver_session)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            id,
            hash,
            source,
            at,
            pushed,
            author.map(|author| author.name.as_str()),
            author.map(|author| author.session),
            approver.map(|approver| approver.name.as_str()),
            approver.map(|approver| approver.session)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The set that was pushed last, and a moment after which the next one may be.
    pub async fn pushed_policy(&mut self, now: OffsetDateTime) -> Result<(Option<[u8; 32]>, OffsetDateTime), StoreError> {
        let row = sqlx::query!(
            "select hash, activated_at from daypass.policy_activations where pushed order by activated_at desc, id desc limit 1"
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok((None, now)) };
        // The last one by the clock is the active one: a replica whose clock is behind must not be overtaken by what it replaces.
        Ok((Some(hash(row.hash)?), now.max(row.activated_at + Duration::microseconds(1))))
    }

    /// Has a stored set look on, or none.
    pub async fn shadow_policy(
        &mut self,
        id: Uuid,
        hash: Option<&[u8; 32]>,
        author: &Author,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into daypass.policy_shadows (id, hash, author, author_session, since)
             select $1, $2, $3, $4, greatest($5, (select max(since) + interval '1 microsecond' from daypass.policy_shadows))",
            id,
            hash.map(<[u8; 32]>::as_slice),
            author.name,
            author.session,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// The files of a set that is stored.
    pub async fn policy_files(&self, hash: &[u8; 32]) -> Result<Option<Files>, StoreError> {
        let files = sqlx::query_scalar!("select files from daypass.policy_sets where hash = $1", hash)
            .fetch_optional(self.pool())
            .there(self)
            .await?;
        files.map(|files| serde_json::from_value(files).map_err(|_| StoreError::Corrupt("policy_sets"))).transpose()
    }

    /// The stored sets whose hash begins so, in lower-case hexadecimal; two are enough to know that it is not told which.
    pub async fn policies_like(&self, prefix: &str) -> Result<Vec<([u8; 32], OffsetDateTime)>, StoreError> {
        let rows = sqlx::query!(
            "select hash, stored_at from daypass.policy_sets where starts_with(encode(hash, 'hex'), $1) limit 2",
            prefix
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        rows.into_iter().map(|row| Ok((hash(row.hash)?, row.stored_at))).collect()
    }

    /// What replicas follow.
    pub async fn policy_heads(&self) -> Result<Heads, StoreError> {
        let row = sqlx::query!(
            r#"select (select hash from daypass.policy_activations where pushed order by activated_at desc, id desc limit 1) as active,
                      (select hash from daypass.policy_shadows order by since desc, id desc limit 1) as shadow"#
        )
        .fetch_one(self.pool())
        .there(self)
        .await?;
        Ok(Heads { active: row.active.map(hash).transpose()?, shadow: row.shadow.map(hash).transpose()? })
    }

    /// The latest activations, the newest first; of one set, where that is told.
    pub async fn policy_history(&self, of: Option<&[u8; 32]>, limit: i64) -> Result<Vec<Activated>, StoreError> {
        let rows = sqlx::query!(
            "select id, hash, source, activated_at, pushed, author, author_session, approver, approver_session
             from daypass.policy_activations where $1::bytea is null or hash = $1
             order by activated_at desc, id desc limit $2",
            of.map(<[u8; 32]>::as_slice),
            limit
        )
        .fetch_all(self.pool())
        .there(self)
        .await?;
        let activated = rows.into_iter().map(|row| {
            Ok(Activated {
                id: row.id,
                hash: hash(row.hash)?,
                source: row.source,
                at: row.activated_at,
                pushed: row.pushed,
                author: author(row.author, row.author_session),
                approver: author(row.approver, row.approver_session),
            })
        });
        activated.collect()
    }
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("policy_activations"))
}

fn author(name: Option<String>, session: Option<Uuid>) -> Option<Author> {
    Some(Author { name: name?, session: session? })
}

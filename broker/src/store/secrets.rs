//! Stored secrets: versions of JSON objects by mount and path, sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::secret::Secret;
use serde_json::value::RawValue;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::data_keys::{Keys, generation_column};
use super::servers::Servers;
use super::{StoreError, Tx, one_row};
use crate::crypto::keyring::{Place, compound};

mod reader;

/// The most that one version may hold, as JSON text.
pub const MOST_BYTES: usize = 1 << 20;

/// Reads stored secrets. A handle for those who must not see the rest of the store; the default one stands before no store
/// and fails.
#[derive(Clone, Default)]
pub struct Secrets(Option<Shelf>);

#[derive(Clone)]
struct Shelf {
    pool: PgPool,
    keys: Arc<Keys>,
    reader: Arc<reader::Handle>,
}

/// One version of a secret.
#[derive(Debug)]
pub struct Version {
    pub version: u32,
    /// The JSON text of an object.
    pub data: Secret<Vec<u8>>,
    pub created_at: OffsetDateTime,
}

/// A secret without what it holds.
#[derive(Clone, Debug)]
pub struct History {
    pub current: u32,
    pub metadata: BTreeMap<String, String>,
    pub versions: Vec<VersionInfo>,
}

#[derive(Clone, Copy, Debug)]
pub struct VersionInfo {
    pub version: u32,
    pub created_at: OffsetDateTime,
    pub deleted_at: Option<OffsetDateTime>,
    pub destroyed: bool,
}

/// A new version.
#[derive(Debug)]
pub struct Put<'a> {
    pub mount: &'a str,
    pub path: &'a str,
    /// The JSON text of an object.
    pub data: &'a Secret<Vec<u8>>,
    /// Only if this is the current version; 0: only if there is none.
    pub cas: Option<u32>,
    /// Replaces the notes beside the secret.
    pub metadata: Option<&'a BTreeMap<String, String>>,
    pub now: OffsetDateTime,
}

/// Why a secret is not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no such secret")]
    Unknown,
    #[error("this version is deleted or destroyed")]
    Deleted,
    #[error("the secret is at version {current}")]
    Conflict { current: u32 },
    #[error("a secret is a JSON object: {0}")]
    NotAnObject(String),
    #[error("a secret holds at most {MOST_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SecretError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub(super) fn new(pool: PgPool, servers: Servers, keys: Arc<Keys>, patience: Duration) -> Self {
        Self(Some(Shelf { pool, keys, reader: Arc::new(reader::start(servers, patience)) }))
    }

    fn shelf(&self) -> Result<&Shelf, StoreError> {
        self.0.as_ref().ok_or(StoreError::Stopped)
    }

    /// The version of the secret; the current one unless told.
    pub async fn read(&self, mount: &str, path: &str, version: Option<u32>) -> Result<Version, SecretError> {
        let shelf = self.shelf()?;
        let wanted = version.map(wanted).transpose()?;
        let row = shelf.reader.read(reader::Which { mount: mount.to_owned(), path: path.to_owned(), version: wanted }).await?;
        let row = row.ok_or(SecretError::Unknown)?;
        let Some(sealed) = row.sealed.as_ref().filter(|_| row.deleted_at.is_none()) else { return Err(SecretError::Deleted) };
        let version = number(row.version)?;
        let key = key(mount, path);
        let data = shelf.keys.open(place(&key, version), sealed).await?;
        Ok(Version { version, data, created_at: row.created_at })
    }

    pub(super) async fn close(&self) {
        if let Some(shelf) = &self.0 {
            shelf.reader.close().await;
        }
    }

    /// The names directly below `prefix` (empty, or ending in `/`); those that go on end in `/`. A secret whose current
    /// version is deleted is still listed.
    pub async fn list(&self, mount: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query_scalar!(
            r#"select distinct case when position('/' in rest) > 0 then left(rest, position('/' in rest)) else rest end as "name!"
               from (select substr(path, length($2) + 1) as rest from daypass.secrets
                     where mount = $1 and starts_with(path, $2)) below
               where rest <> '' order by 1"#,
            mount,
            prefix
        )
        .fetch_all(&self.shelf()?.pool)
        .await?;
        Ok(rows)
    }

    pub async fn history(&self, mount: &str, path: &str) -> Result<History, SecretError> {
        let secret = sqlx::query!(
            r#"select current, metadata::text as "metadata!" from daypass.secrets where mount = $1 and path = $2"#,
            mount,
            path
        )
        .fetch_optional(&self.shelf()?.pool)
        .await?
        .ok_or(SecretError::Unknown)?;
        let rows = sqlx::query!(
            "select version, created_at, deleted_at, destroyed from daypass.secret_versions
             where mount = $1 and path = $2 order by version",
            mount,
            path
        )
        .fetch_all(&self.shelf()?.pool)
        .await?;
        let versions = rows.into_iter().map(|row| {
            let version = number(row.version)?;
            Ok(VersionInfo { version, created_at: row.created_at, deleted_at: row.deleted_at, destroyed: row.destroyed })
        });
        Ok(History {
            current: number(secret.current)?,
            metadata: serde_json::from_str(&secret.metadata).map_err(|_| StoreError::Corrupt("secrets"))?,
            versions: versions.collect::<Result<_, StoreError>>()?,
        })
    }
}

/// The members of a secret by name, each as its JSON text.
pub fn members(data: &Secret<Vec<u8>>) -> Result<BTreeMap<String, &RawValue>, SecretError> {
    // The error names a place, never a part of the text.
    serde_json::from_slice(data.expose())
        .map_err(|error| SecretError::NotAnObject(format!("line {}, column {}", error.line(), error.column())))
}

impl Tx {
    /// Writes a new version and answers its number. Writers of one secret follow each other.
    pub async fn put_secret(&mut self, put: &Put<'_>) -> Result<u32, SecretError> {
        if put.data.expose().len() > MOST_BYTES {
            return Err(SecretError::TooLarge);
        }
        members(put.data)?;
        let mut found = self.lock_secret(put.mount, put.path).await?;
        if found.is_none() && put.cas.is_none_or(|cas| cas == 0) {
            // Of several that make it at once each locks the same row, and they follow each other.
            sqlx::query!(
                "insert into daypass.secrets (mount, path, current, metadata, created_at, updated_at)
                 values ($1, $2, 0, '{}', $3, $3) on conflict do nothing",
                put.mount,
                put.path,
                put.now
            )
            .execute(self.connection())
            .await?;
            found = self.lock_secret(put.mount, put.path).await?;
        }
        let current = found.unwrap_or(0);
        if put.cas.is_some_and(|cas| cas != current) {
            return Err(SecretError::Conflict { current });
        }
        let version = current.saturating_add(1);
        let metadata = put.metadata.map(serde_json::to_value).transpose().map_err(|_| StoreError::Corrupt("secrets"))?;
        sqlx::query!(
            "update daypass.secrets set current = $3, metadata = coalesce($4, metadata), updated_at = $5
             where mount = $1 and path = $2",
            put.mount,
            put.path,
            column(version)?,
            metadata,
            put.now
        )
        .execute(self.connection())
        .await?;
        let key = key(put.mount, put.path);
        let sealed = self.keys.seal(place(&key, version), put.data.expose())?;
        sqlx::query!(
            "insert into daypass.secret_versions (mount, path, version, sealed, generation, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            put.mount,
            put.path,
            column(version)?,
            sealed.bytes,
            generation_column(sealed.generation)?,
            put.now
        )
        .execute(self.connection())
        .await?;
        Ok(version)
    }

    /// Makes what an older version holds the current version again, as a new version; also one that was deleted, but not
    /// one that was destroyed.
    pub async fn rollback_secret(&mut self, mount: &str, path: &str, to: u32, now: OffsetDateTime) -> Result<u32, SecretError> {
        self.lock_secret(mount, path).await?.ok_or(SecretError::Unknown)?;
        let sealed = sqlx::query_scalar!(
            "select sealed from daypass.secret_versions where mount = $1 and path = $2 and version = $3",
            mount,
            path,
            wanted(to)?
        )
        .fetch_optional(self.connection())
        .await?
        .ok_or(SecretError::Unknown)?
        .ok_or(SecretError::Deleted)?;
        let keys = self.keys.clone();
        let data = keys.open(place(&key(mount, path), to), &sealed).await?;
        self.put_secret(&Put { mount, path, data: &data, cas: None, metadata: None, now }).await
    }

    /// Deletes versions, or the current one where none is named; they can come back by a rollback. Answers which.
    pub async fn delete_secret(
        &mut self,
        mount: &str,
        path: &str,
        versions: &[u32],
        now: OffsetDateTime,
    ) -> Result<Vec<u32>, SecretError> {
        let versions = self.versions(mount, path, versions).await?;
        let rows = sqlx::query_scalar!(
            "update daypass.secret_versions set deleted_at = $4
             where mount = $1 and path = $2 and version = any($3) and deleted_at is null returning version",
            mount,
            path,
            &versions,
            now
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(number).collect::<Result<_, _>>()?)
    }

    /// Destroys what versions hold, or the current one where none is named, for good. Answers which.
    pub async fn destroy_secret(
        &mut self,
        mount: &str,
        path: &str,
        versions: &[u32],
        now: OffsetDateTime,
    ) -> Result<Vec<u32>, SecretError> {
        let versions = self.versions(mount, path, versions).await?;
        let rows = sqlx::query_scalar!(
            "update daypass.secret_versions set sealed = null, destroyed = true, deleted_at = coalesce(deleted_at, $4)
             where mount = $1 and path = $2 and version = any($3) and not destroyed returning version",
            mount,
            path,
            &versions,
            now
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(number).collect::<Result<_, _>>()?)
    }

    /// Removes a secret with all its versions, as if it had never been; numbers start again. Answers whether it was there.
    pub async fn remove_secret(&mut self, mount: &str, path: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query!("delete from daypass.secrets where mount = $1 and path = $2", mount, path)
            .execute(self.connection())
            .await?;
        Ok(one_row(&removed))
    }

    /// The current version of a secret whose row is then ours.
    async fn lock_secret(&mut self, mount: &str, path: &str) -> Result<Option<u32>, StoreError> {
        sqlx::query_scalar!("select current from daypass.secrets where mount = $1 and path = $2 for update", mount, path)
            .fetch_optional(self.connection())
            .await?
            .map(number)
            .transpose()
    }

    async fn versions(&mut self, mount: &str, path: &str, named: &[u32]) -> Result<Vec<i32>, SecretError> {
        let current = self.lock_secret(mount, path).await?.ok_or(SecretError::Unknown)?;
        let named = if named.is_empty() { &[current] } else { named };
        named.iter().map(|version| wanted(*version)).collect()
    }
}

/// Moves versions to the active generation.
pub(super) async fn rewrap(tx: &mut Tx, limit: i64) -> Result<u64, StoreError> {
    let keys = tx.keys.clone();
    let rows = sqlx::query!(
        r#"select mount, path, version, sealed as "sealed!", generation from daypass.secret_versions
           where sealed is not null and generation < $1 limit $2 for no key update skip locked"#,
        generation_column(keys.ring().active())?,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let mut moved = 0;
    for row in rows {
        let key = key(&row.mount, &row.path);
        let place = place(&key, number(row.version)?);
        let Ok(clear) = keys.open(place, &row.sealed).await else {
            tracing::error!(mount = row.mount, path = row.path, "a secret does not open and cannot be rewrapped");
            continue;
        };
        let sealed = keys.seal(place, clear.expose())?;
        let result = sqlx::query!(
            "update daypass.secret_versions set sealed = $1, generation = $2
             where mount = $3 and path = $4 and version = $5 and generation = $6 and sealed is not null",
            sealed.bytes,
            generation_column(sealed.generation)?,
            row.mount,
            row.path,
            row.version,
            row.generation
        )
        .execute(tx.connection())
        .await?;
        moved += result.rows_affected();
    }
    Ok(moved)
}

fn key(mount: &str, path: &str) -> Vec<u8> {
    compound(&[mount.as_bytes(), path.as_bytes()])
}

fn place(key: &[u8], version: u32) -> Place<'_> {
    Place { table: "secret_versions", column: "sealed", key, version: u64::from(version) }
}

fn number(column: i32) -> Result<u32, StoreError> {
    u32::try_from(column).map_err(|_| StoreError::Corrupt("secret_versions"))
}

fn column(version: u32) -> Result<i32, StoreError> {
    i32::try_from(version).map_err(|_| StoreError::Corrupt("secret_versions"))
}

/// The number of a version that somebody asks for. None is as high as what no column holds.
fn wanted(version: u32) -> Result<i32, SecretError> {
    i32::try_from(version).map_err(|_| SecretError::Unknown)
}

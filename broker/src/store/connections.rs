//! Targets with their admin credential, as engines see them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use zeroize::Zeroize;

use super::data_keys::{Keys, generation_column};
use super::{Store, StoreError, There, Tx, one_row};
use crate::crypto::keyring::Place;

/// A target system and the credential that Daypass administers it with.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: String,
    pub engine: String,
    /// Counts changes, so that an engine can tell when to connect anew.
    pub version: i64,
    /// Where it is, with the administrator's name and without a password.
    pub url: String,
    pub password: Option<Secret<String>>,
    /// The engine's own settings, such as its statement sets.
    pub settings: Map<String, Value>,
    /// Roles that may use it, by name or glob; empty means none.
    pub allowed_roles: Vec<String>,
    /// How many operations may run against it at the same time.
    pub concurrency: u32,
    /// How many live leases it may have.
    pub max_leases: u32,
}

impl Connection {
    /// The live leases that a connection may have unless it says otherwise.
    pub const fn most_leases() -> u32 {
        5_000
    }
}

/// Every connection by name, as of the last load.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    list: Arc<ArcSwap<HashMap<String, Arc<Connection>>>>,
    /// Those that this process's configuration has; unset, nobody asked.
    configured: Arc<ArcSwapOption<BTreeSet<String>>>,
}

impl Connections {
    pub fn get(&self, name: &str) -> Option<Arc<Connection>> {
        self.list.load().get(name).cloned()
    }

    /// Puts a whole new list in place.
    pub fn replace(&self, connections: Vec<Connection>) {
        self.list
            .store(Arc::new(connections.into_iter().map(|connection| (connection.name.clone(), Arc::new(connection))).collect()));
    }

    /// Names what the configuration has. What is stored of it beside those was taken out: from the next load on it makes no new
    /// credentials, and serves only to take back what it made.
    pub fn configured(&self, names: impl IntoIterator<Item = String>) {
        self.configured.store(Some(Arc::new(names.into_iter().collect())));
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.list.load().keys().cloned().collect();
        names.sort();
        names
    }

    fn was_taken_out(&self, name: &str, source: &str) -> bool {
        source == Source::Configuration.as_str() && self.configured.load().as_ref().is_some_and(|names| !names.contains(name))
    }

    fn are_at(&self, versions: &[(String, i64)]) -> bool {
        let list = self.list.load();
        list.len() == versions.len()
            && versions.iter().all(|(name, version)| list.get(name).is_some_and(|held| held.version == *version))
    }
}

/// Who wrote a stored connection last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The broker's configuration, at start.
    Configuration,
    /// An operator, or a rotation of the credential; the configuration does not overwrite it.
    Operator,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Operator => "operator",
        }
    }
}

/// What is sealed of a connection.
#[derive(Deserialize, PartialEq, Serialize)]
struct Body {
    url: String,
    password: Option<String>,
    settings: Map<String, Value>,
    allowed_roles: Vec<String>,
    concurrency: u32,
    /// Not in what was stored before there was such a limit.
    #[serde(default = "Connection::most_leases")]
    max_leases: u32,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Body {
    fn of(connection: &Connection) -> Self {
        Self {
            url: connection.url.clone(),
            password: connection.password.as_ref().map(|password| password.expose().clone()),
            settings: connection.settings.clone(),
            allowed_roles: connection.allowed_roles.clone(),
            concurrency: connection.concurrency,
            max_leases: connection.max_leases,
        }
    }

    fn text(&self) -> Result<Secret<Vec<u8>>, StoreError> {
        serde_json::to_vec(self).map(Secret::new).map_err(|_| StoreError::Corrupt("connections"))
    }
}

impl Store {
    /// Reads every stored connection and puts the list in place for the engines.
    pub async fn load_connections(&self) -> Result<(), StoreError> {
        let rows = sqlx::query!("select name, engine, version, sealed, source from daypass.connections")
            .fetch_all(self.pool())
            .there(self)
            .await?;
        let mut loaded = Vec::with_capacity(rows.len());
        for row in rows {
            let mut body = open(&self.0.keys, &row.name, row.version, &row.sealed).await?;
            if self.connections().was_taken_out(&row.name, &row.source) {
                tracing::warn!(
                    connection = row.name,
                    "the configuration no longer has this connection: it takes back, and makes nothing"
                );
                body.allowed_roles.clear();
            }
            loaded.push(Connection {
                name: row.name,
                engine: row.engine,
                version: row.version,
                url: std::mem::take(&mut body.url),
                password: body.password.take().map(Secret::new),
                settings: std::mem::take(&mut body.settings),
                allowed_roles: std::mem::take(&mut body.allowed_roles),
                concurrency: body.concurrency,
                max_leases: body.max_leases,
            });
        }
        self.connections().replace(loaded);
        Ok(())
    }

    /// Loads the connections again if somebody has changed them. Answers whether that was so.
    pub async fn reload_connections(&self) -> Result<bool, StoreError> {
        let rows = sqlx::query!("select name, version from daypass.connections").fetch_all(self.pool()).there(self).await?;
        let versions: Vec<_> = rows.into_iter().map(|row| (row.name, row.version)).collect();
        if self.connections().are_at(&versions) {
            return Ok(false);
        }
        self.load_connections().await?;
        Ok(true)
    }
}

impl Tx {
    /// Stores what the configuration says of a connection, unless an operator's version stands or nothing has changed.
    /// Answers the new version, where one was written.
    pub async fn configure_connection(
        &mut self,
        connection: &Connection,
        now: OffsetDateTime,
    ) -> Result<Option<i64>, StoreError> {
        let found = sqlx::query!(
            "select engine, version, sealed, source from daypass.connections where name = $1 for update",
            connection.name
        )
        .fetch_optional(self.connection())
        .await?;
        let keys = self.keys.clone();
        let version = match found {
            None => 0,
            Some(row) if row.source != Source::Configuration.as_str() => return Ok(None),
            Some(row) => {
                let held = open(&keys, &connection.name, row.version, &row.sealed).await?;
                if row.engine == connection.engine && held == Body::of(connection) {
                    return Ok(None);
                }
                row.version
            }
        };
        self.write_connection(connection, version, Source::Configuration, now).await
    }

    /// Stores an operator's version of a connection, if `expected` is the stored version (0: there is none). Answers the
    /// new version; `None`: it is at another.
    pub async fn put_connection(
        &mut self,
        connection: &Connection,
        expected: i64,
        now: OffsetDateTime,
    ) -> Result<Option<i64>, StoreError> {
        self.write_connection(connection, expected, Source::Operator, now).await
    }

    /// Removes a connection. Answers whether it was there.
    pub async fn delete_connection(&mut self, name: &str) -> Result<bool, StoreError> {
        let result = sqlx::query!("delete from daypass.connections where name = $1", name).execute(self.connection()).await?;
        Ok(one_row(&result))
    }

    async fn write_connection(
        &mut self,
        connection: &Connection,
        expected: i64,
        source: Source,
        now: OffsetDateTime,
    ) -> Result<Option<i64>, StoreError> {
        let version = expected.saturating_add(1);
        let clear = Body::of(connection).text()?;
        let sealed = self.keys.seal(place(&connection.name, version)?, clear.expose())?;
        let generation = generation_column(sealed.generation)?;
        let written = if expected == 0 {
            sqlx::query!(
                "insert into daypass.connections (name, engine, version, sealed, generation, source, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
                connection.name,
                connection.engine,
                version,
                sealed.bytes,
                generation,
                source.as_str(),
                now
            )
            .execute(self.connection())
            .await?
        } else {
            sqlx::query!(
                "update daypass.connections
                 set engine = $2, version = $3, sealed = $4, generation = $5, source = $6, updated_at = $7
                 where name = $1 and version = $8",
                connection.name,
                connection.engine,
                version,
                sealed.bytes,
                generation,
                source.as_str(),
                now,
                expected
            )
            .execute(self.connection())
            .await?
        };
        Ok(one_row(&written).then_some(version))
    }
}

/// Moves connections to the active generation.
pub(super) async fn rewrap(tx: &mut Tx, limit: i64) -> Result<u64, StoreError> {
    let keys = tx.keys.clone();
    let rows = sqlx::query!(
        "select name, version, sealed, generation from daypass.connections where generation < $1
         limit $2 for no key update skip locked",
        generation_column(keys.ring().active())?,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let mut moved = 0;
    for row in rows {
        let place = place(&row.name, row.version)?;
        let Ok(clear) = keys.open(place, &row.sealed).await else {
            tracing::error!(connection = row.name, "a connection does not open and cannot be rewrapped");
            continue;
        };
        let sealed = keys.seal(place, clear.expose())?;
        let result = sqlx::query!(
            "update daypass.connections set sealed = $1, generation = $2 where name = $3 and version = $4 and generation = $5",
            sealed.bytes,
            generation_column(sealed.generation)?,
            row.name,
            row.version,
            row.generation
        )
        .execute(tx.connection())
        .await?;
        moved += result.rows_affected();
    }
    Ok(moved)
}

async fn open(keys: &Keys, name: &str, version: i64, sealed: &[u8]) -> Result<Body, StoreError> {
    let clear = keys.open(place(name, version)?, sealed).await?;
    serde_json::from_slice(clear.expose()).map_err(|_| StoreError::Corrupt("connections"))
}

fn place(name: &str, version: i64) -> Result<Place<'_>, StoreError> {
    let version = u64::try_from(version).map_err(|_| StoreError::Corrupt("connections"))?;
    Ok(Place { table: "connections", column: "sealed", key: name.as_bytes(), version })
}

//! What is remembered, in PostgreSQL. SQL stands here and nowhere else, one file per table.
//!
//! Times are bound parameters, so that every replica and every test decides by the same clock; the one exception is
//! [`Store::database_time`], which is how that clock is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::crypto::seals::Seal;
use crate::system::{Look, System};

mod address;
pub mod audit;
pub mod bootstrap;
mod connections;
mod data_keys;
pub mod decisions;
pub mod denials;
mod error;
pub mod given;
pub mod holds;
mod issuer_keys;
pub mod job_ends;
pub mod leases;
mod line;
mod marks;
mod migrate;
mod options;
mod packed;
pub mod policies;
pub mod proposals;
mod record;
pub mod revocations;
pub mod secrets;
mod servers;
pub mod sessions;
pub mod stops;
pub mod strays;
mod tx;
pub mod waiting;
mod writer;

pub use address::{address, addresses, place};
pub use connections::{Connection, Connections, Source};
use data_keys::Keys;
pub use data_keys::{Generation, Left};
pub use error::StoreError;
pub use migrate::{MIGRATOR, migrate};
pub use options::Options;
pub use record::{Activation, NewLease, NewSession, Quota, Record, TokenUse, WriteError, Written};
pub use secrets::Secrets;
use servers::Servers;
pub use tx::Tx;

/// The memory of one deployment. Clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    system: System,
    keys: Arc<Keys>,
    connections: Connections,
    secrets: Secrets,
    writer: writer::Handle,
    servers: Servers,
    patience: Duration,
    _watching: DropGuard,
}

impl Store {
    /// Connects, compares the schema with this program's, and opens the data keys. A first start makes the identity of
    /// the deployment and the first generation of the data key.
    pub async fn connect(options: &Options, seal: Arc<dyn Seal>, system: System) -> Result<Self, StoreError> {
        Self::open(options, options.targets().await?, seal, system).await
    }

    /// As [`Store::connect`], to servers that are known already; `options` gives the rest.
    pub async fn open(
        options: &Options,
        targets: Vec<PgConnectOptions>,
        seal: Arc<dyn Seal>,
        system: System,
    ) -> Result<Self, StoreError> {
        let servers = Servers::of(targets.into_iter().map(|target| options.prepare(target)).collect());
        // A pool only says that it waited too long; a connection says why there is none.
        let probe = servers.connect().await.map_err(StoreError::at_connect)?;
        probe.close().await.map_err(StoreError::at_connect)?;
        let target = servers.current().map_err(StoreError::at_connect)?.clone();
        let pool = options.pool(&servers).connect_lazy_with(target);
        let watching = CancellationToken::new();
        tokio::spawn(servers.clone().watch(pool.clone(), watching.clone()));
        let watching = watching.drop_guard();
        migrate::check(&pool).await?;
        let keys = Arc::new(Keys::load_or_make(pool.clone(), system.clone(), seal).await?);
        let secrets = Secrets::new(pool.clone(), servers.clone(), keys.clone(), options.patience());
        let patience = options.patience();
        let writer = writer::start(servers.clone(), patience);
        let connections = Connections::default();
        Ok(Self(Arc::new(Inner { pool, system, keys, connections, secrets, writer, servers, patience, _watching: watching })))
    }

    /// The identity of this installation. Ciphertexts are bound to it.
    pub fn deployment(&self) -> Uuid {
        self.0.keys.deployment()
    }

    /// The deployment in six characters of `a-z2-7`, as it stands in names within targets.
    pub fn deployment_tag(&self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bits = self.deployment().as_u128() >> 98;
        (0..6)
            .rev()
            .filter_map(|at| LETTERS.get(usize::try_from((bits >> (at * 5)) & 31).unwrap_or(0)))
            .map(|letter| char::from(*letter))
            .collect()
    }

    pub fn system(&self) -> &System {
        &self.0.system
    }

    /// The connections as of the last [`Store::load_connections`].
    pub fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// What reads stored secrets, for engines.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// What time it is for the database. This is the measurement that the clock of every replica follows.
    pub async fn database_time(&self) -> Result<Look, StoreError> {
        // Waiting for a connection is no part of the way there and back.
        let mut connection = self.0.pool.acquire().await?;
        let asked = Instant::now();
        let question = sqlx::query_scalar!(r#"select clock_timestamp() as "at!""#).fetch_one(&mut *connection);
        let database = question.there(self).await?;
        Ok(Look { database, asked, round_trip: asked.elapsed() })
    }

    /// What comes of work that is a transaction of its own, or an error: where nobody's deadline ends the wait for a server
    /// that was cut off, it ends here, and nothing or all of it happened.
    pub fn whole<T, E: From<StoreError>>(&self, work: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>> {
        let work = Box::pin(work);
        async move { async { Ok(work.await) }.there(self).await? }
    }

    /// When this installation was first started.
    pub async fn created_at(&self) -> Result<OffsetDateTime, StoreError> {
        sqlx::query_scalar!("select created_at from daypass.deployment").fetch_one(self.pool()).there(self).await
    }

    /// Begins a change of several steps. It happens as a whole with [`Tx::commit`], or not at all.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx::new(self.0.pool.begin().there(self).await?, self.0.keys.clone()))
    }

    /// Begins a search that an operator asks for. See [`Tx::plan_for_values`].
    async fn search(&self) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        self.whole(tx.plan_for_values()).await?;
        Ok(tx)
    }

    /// Writes one record through the group writer of this replica. When it returns `Written`, it is durable.
    pub async fn write(&self, record: Record) -> Result<Written, WriteError> {
        writer::write(self, record).await
    }

    /// Whether the database had no room for a record since this was last asked.
    pub fn was_full(&self) -> bool {
        self.0.writer.was_full()
    }

    /// Writes what happened where nothing else changes with it.
    pub async fn remember(&self, record: domain::audit::Record) -> Result<(), WriteError> {
        self.write(Record { audit: vec![record], ..Record::default() }).await.map(|_| ())
    }

    /// Writes what waits, waits for open connections to come back, and closes them all.
    pub async fn close(&self) {
        self.0.writer.close().await;
        self.0.secrets.close().await;
        self.0.pool.close().await;
    }

    fn pool(&self) -> &PgPool {
        &self.0.pool
    }
}

/// What asks the database and waits for it no longer than it is there: a server that was cut off never answers, and most who
/// ask have no deadline of their own.
trait There<T>: Future<Output = Result<T, sqlx::Error>> + Sized {
    fn there(self, store: &Store) -> impl Future<Output = Result<T, StoreError>> {
        // Boxed at once, so that it is not carried by value through the layers of waiting.
        let work = Box::pin(self);
        async move { Ok(store.0.servers.while_here(store.0.patience, work).await?) }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> There<T> for F {}

/// How many rows a statement changed, where that is the question.
fn one_row(result: &sqlx::postgres::PgQueryResult) -> bool {
    result.rows_affected() == 1
}

#[cfg(test)]
pub(crate) mod tests;

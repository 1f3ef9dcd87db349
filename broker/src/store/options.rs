//! Where the database is and how it is used.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::StoreError;
use super::address::guarded_all;
use super::servers::Servers;

/// How long an idle connection is trusted without asking.
const TRUSTED: Duration = Duration::from_secs(1);

/// The `[database]` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// `postgres://daypass@db.example:5432/daypass?sslmode=verify-full`, without a password. Several servers, a primary and its
    /// standbys, stand side by side: `postgres://daypass@db1:5432,db2:5432/daypass`.
    pub url: String,
    /// Holds the password of the role in `url`; read again for every start.
    pub password_file: Option<PathBuf>,
    /// Connections of this replica, beside one for the group writer.
    pub max_connections: u32,
    /// How long a request waits for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long a statement may run, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a statement waits for a lock, in milliseconds.
    pub lock_timeout_ms: u64,
    /// What the database's own views call us.
    pub application_name: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: None,
            max_connections: 8,
            acquire_timeout_ms: 3_000,
            statement_timeout_ms: 5_000,
            lock_timeout_ms: 3_000,
            application_name: "daypass-broker".to_owned(),
        }
    }
}

impl Options {
    /// The servers of `url` with the password of `password_file`.
    pub(super) async fn targets(&self) -> Result<Vec<PgConnectOptions>, StoreError> {
        parse(&self.url, self.password_file.as_ref()).await
    }

    /// Gives `target` the limits of these options.
    pub(super) fn prepare(&self, target: PgConnectOptions) -> PgConnectOptions {
        let millis = |number: u64| format!("{number}ms");
        target.application_name(&self.application_name).disable_statement_logging().options([
            ("statement_timeout", millis(self.statement_timeout_ms)),
            ("lock_timeout", millis(self.lock_timeout_ms)),
            ("idle_in_transaction_session_timeout", millis(self.statement_timeout_ms.saturating_mul(2))),
            // A lease that was answered must be on disk, whatever the server's default says.
            ("synchronous_commit", "on".to_owned()),
            // Tables grow while a prepared plan lives; an index serves every statement of ours.
            ("enable_seqscan", "off".to_owned()),
            // Planned once: planning the group writer's statement for each batch costs more than carrying it out.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            // Statements here are short; compiling them never pays, nor does handing them to helpers that have to be started.
            ("jit", "off".to_owned()),
            ("max_parallel_workers_per_gather", "0".to_owned()),
        ])
    }

    /// How long a server that says nothing is believed to be there. It ends every statement itself before that.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms.saturating_add(3_000))
    }

    /// A connection is asked whether it lives when it comes back, and again only if it has then been idle for a while: a
    /// question before each of a thousand reads a second costs as much as the reads. One of a server that is no longer the
    /// primary is not used again.
    pub(super) fn pool(&self, servers: &Servers) -> PgPoolOptions {
        let (asking, asking_new, returning) = (servers.clone(), servers.clone(), servers.clone());
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(Duration::from_millis(self.acquire_timeout_ms))
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let servers = asking_new.clone();
                Box::pin(async move { servers.admit(connection).await })
            })
            .after_release(move |connection, meta| {
                let servers = returning.clone();
                Box::pin(async move { servers.takes_back(connection, meta.age).await })
            })
            .before_acquire(move |connection, meta| {
                let servers = asking.clone();
                Box::pin(async move {
                    if servers.have_moved_since(meta.age) {
                        return Ok(false);
                    }
                    // An error here closes this connection and takes another.
                    if meta.idle_for > TRUSTED { servers.admit(connection).await.map(|()| true) } else { Ok(true) }
                })
            })
    }
}

pub(super) async fn parse(url: &str, password_file: Option<&PathBuf>) -> Result<Vec<PgConnectOptions>, StoreError> {
    let targets = guarded_all(url).map_err(|what| StoreError::Url(what.to_owned()))?;
    let Some(path) = password_file else { return Ok(targets) };
    let read = tokio::fs::read_to_string(path).await;
    let password = read.map_err(|source| StoreError::PasswordFile { path: path.display().to_string(), source })?;
    let password = password.trim_end_matches(['\r', '\n']);
    Ok(targets.into_iter().map(|target| target.password(password)).collect())
}

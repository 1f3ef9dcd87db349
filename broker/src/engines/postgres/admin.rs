//! Connections to targets, as their administrator.

use std::time::Duration;

use domain::secret::Secret;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use url::Url;

use super::EngineError;
use super::settings::Settings;
use crate::engines::pool;
use crate::store::{self, Connection};

/// How long a target may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A session nobody uses is closed after this time.
const IDLE: Duration = Duration::from_mins(5);
/// Raised by our own check when the create deadline is over.
pub(super) const TOO_LATE: &str = "DP001";

/// Bounds of one transaction on a target, whatever an earlier statement of its session did to the session's own.
pub(super) const LIMITS: &str = "set local statement_timeout to '5s';\nset local lock_timeout to '3s';\n";

/// The administrator of one target.
#[derive(Clone)]
pub(super) struct Admin {
    pool: PgPool,
    options: PgConnectOptions,
    database: String,
    ssl_mode: &'static str,
}

/// The options and the pool hold the password and would print it.
impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (self.host(), self.port());
        f.debug_struct("Admin")
            .field("host", &host)
            .field("port", &port)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Nothing is connected yet.
    pub(super) fn new(connection: &Connection, settings: &Settings) -> Result<Self, EngineError> {
        let options = options(connection, settings)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
        let pool = PgPoolOptions::new()
            .max_connections(connection.concurrency.max(1))
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .after_connect(|connection, _| Box::pin(shield(connection)))
            .connect_lazy_with(options.clone());
        Ok(Self { pool, database, ssl_mode: word(options.get_ssl_mode()), options })
    }

    /// Does `work` with a session in the connection's own database, for so long and no longer.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        pool::within(&self.pool, map, limit, work).await
    }

    /// A session of its own in another database of the same server.
    pub(super) async fn visit(&self, database: &str) -> Result<PgConnection, EngineError> {
        let options = self.options.clone().database(database);
        let connect = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            shield(&mut connection).await?;
            Ok(connection)
        };
        match tokio::time::timeout(CONNECT, connect).await {
            Ok(connected) => connected.map_err(map),
            Err(_) => Err(EngineError::TargetUnavailable("it did not accept a connection in time".to_owned())),
        }
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn host(&self) -> &str {
        self.options.get_host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.options.get_port()
    }

    /// How the server is spoken to, in libpq's word.
    pub(super) const fn ssl_mode(&self) -> &'static str {
        self.ssl_mode
    }

    /// Everything a client needs, in one line.
    pub(super) fn url(&self, user: &str, password: &Secret<String>, database: &str) -> Result<Secret<String>, EngineError> {
        let host = self.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let fault = || EngineError::Misconfigured("the host of the connection cannot stand in a URL".to_owned());
        let mut url = Url::parse(&format!("postgresql://{host}:{}", self.port())).map_err(|_| fault())?;
        url.set_username(user).map_err(|()| fault())?;
        url.set_password(Some(password.expose())).map_err(|()| fault())?;
        url.path_segments_mut().map_err(|()| fault())?.push(database);
        url.query_pairs_mut().append_pair("sslmode", self.ssl_mode);
        Ok(Secret::new(url.into()))
    }
}

/// Runs a script as one transaction of the server's own: it ends with the message, whatever becomes of this process.
pub(super) async fn run(connection: &mut PgConnection, script: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(script)).execute(connection).await.map(drop)
}

/// Names in our own statements mean the server's own functions, whatever a leased role left in a schema; and the server itself
/// ends what takes too long, whatever becomes of us.
async fn shield(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let shield = "set search_path to pg_catalog, pg_temp; set statement_timeout to '5s'; set lock_timeout to '3s'";
    run(connection, shield.to_owned()).await
}

/// Tells whose fault an error is. Messages of the server are passed on; they hold neither passwords nor addresses with one.
pub(super) fn map(error: sqlx::Error) -> EngineError {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            let text = format!("{} (SQLSTATE {code}){}", error.message(), what_depends(&code, &*error));
            match code.as_str() {
                TOO_LATE => EngineError::TargetUnavailable("it came to the login only after the create deadline".to_owned()),
                // Cancelled by a timeout of ours, lock timeout, deadlock, serialisation.
                "57014" | "55P03" | "40P01" | "40001" => EngineError::TargetUnavailable(text),
                // Shutting down or starting, connection trouble, out of resources, input/output.
                _ if ["57P", "08", "53", "58"].iter().any(|class| code.starts_with(class)) => {
                    EngineError::TargetUnavailable(text)
                }
                _ => EngineError::TargetRefused(text),
            }
        }
        sqlx::Error::Configuration(error) => EngineError::Misconfigured(error.to_string()),
        sqlx::Error::PoolTimedOut => EngineError::TargetUnavailable("no session to it became free in time".to_owned()),
        other => EngineError::TargetUnavailable(other.to_string()),
    }
}

/// What the server says stands in the way of a drop, whose message names none of it: the first lines, of names that anybody may have
/// chosen.
fn what_depends(code: &str, error: &dyn DatabaseError) -> String {
    let detail = error.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::detail).filter(|_| code == "2BP01");
    detail.map_or_else(String::new, |detail| {
        let lines = detail.chars().take(300).map(|sign| if sign == '\n' { ';' } else { sign });
        let lines: String = lines.filter(|sign| !sign.is_control()).collect();
        format!(": {lines}; a superuser can clear that by `drop owned by`, in each database")
    })
}

/// Where the administrator connects to, and how.
pub(super) fn options(connection: &Connection, settings: &Settings) -> Result<PgConnectOptions, EngineError> {
    let wrong = |what: &str| EngineError::Misconfigured(format!("connection `{}`: {what}", connection.name));
    let mut options = store::address(&connection.url).map_err(wrong)?;
    let named = Url::parse(&connection.url)
        .is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()) && !url.username().is_empty());
    if !named {
        return Err(wrong("`url` needs the form postgresql://admin@host:5432/shop"));
    }
    if let Some(file) = &settings.ca_file {
        options = options.ssl_root_cert(file);
    }
    if let Some(password) = &connection.password {
        options = options.password(password.expose());
    }
    Ok(options.application_name("daypass").statement_cache_capacity(0).disable_statement_logging())
}

const fn word(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

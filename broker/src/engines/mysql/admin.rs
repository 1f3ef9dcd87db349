//! Connections to targets, as their administrator.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use domain::secret::Secret;
use percent_encoding::percent_decode_str;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlPool, MySqlPoolOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use url::Url;

use super::EngineError;
use super::settings::Settings;
use crate::engines::pool;
use crate::store::Connection;

/// How long a target may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A session nobody uses is closed after this time.
const IDLE: Duration = Duration::from_mins(5);
/// What the server is made to stumble over when the create deadline is over: it has no statement to fail with.
pub(super) const TOO_LATE: &str = "daypass_create_deadline_is_over";

/// Settles how our sessions read texts, how long they wait for locks, and that a grant never makes an account (MariaDB
/// would, without a password). What stands in `/*M! */` only MariaDB reads.
const SHIELD: &str = "set session sql_mode = concat('STRICT_ALL_TABLES' /*M! , ',NO_AUTO_CREATE_USER' */), time_zone = '+00:00', \
    lock_wait_timeout = 3, innodb_lock_wait_timeout = 3 /*M! , max_statement_time = 5 */";

/// Which of the two this server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mysql,
    Mariadb,
}

/// The administrator of one target.
#[derive(Clone)]
pub(super) struct Admin {
    pool: MySqlPool,
    address: Address,
}

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Address {
    user: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: Option<String>,
    mode: MySqlSslMode,
}

/// The pool holds the password and would print it.
impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Admin {
    /// Nothing is connected yet.
    pub(super) fn new(connection: &Connection, settings: &Settings) -> Result<Self, EngineError> {
        let address = address(connection, settings)?;
        let mut options = MySqlConnectOptions::new()
            .host(&address.host)
            .port(address.port)
            .username(&address.user)
            .ssl_mode(address.mode)
            .statement_cache_capacity(0)
            // The session's modes are ours alone.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        if let Some(file) = &settings.ca_file {
            options = options.ssl_ca(file);
        }
        if let Some(password) = &connection.password {
            options = options.password(password.expose());
        }
        let pool = MySqlPoolOptions::new()
            .max_connections(connection.concurrency.max(1))
            .acquire_timeout(CONNECT)
            .idle_timeout(IDLE)
            .connect_lazy_with(options);
        Ok(Self { pool, address })
    }

    /// Does `work` with a session of the administrator, for so long and no longer. A statement set may have left the session
    /// changed, so it is shielded each time.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut MySqlConnection, Kind) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        pool::within(&self.pool, map, limit, async |home: &mut MySqlConnection| {
            run(home, SHIELD.to_owned()).await.map_err(map)?;
            let is_mariadb: i64 = sqlx::query_scalar("select 0 /*M! + 1 */").fetch_one(&mut *home).await.map_err(map)?;
            work(home, if is_mariadb == 1 { Kind::Mariadb } else { Kind::Mysql }).await
        })
        .await
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }
}

impl Address {
    /// How the server is spoken to, in the word of MySQL's own clients.
    pub(super) const fn ssl_mode(&self) -> &'static str {
        match self.mode {
            MySqlSslMode::Disabled => "DISABLED",
            MySqlSslMode::Preferred => "PREFERRED",
            MySqlSslMode::Required => "REQUIRED",
            MySqlSslMode::VerifyCa => "VERIFY_CA",
            MySqlSslMode::VerifyIdentity => "VERIFY_IDENTITY",
        }
    }

    /// Everything a client needs, in one line.
    pub(super) fn url(&self, user: &str, password: &Secret<String>) -> Result<Secret<String>, EngineError> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let fault = || EngineError::Misconfigured("the host of the connection cannot stand in a URL".to_owned());
        let mut url = Url::parse(&format!("mysql://{host}:{}", self.port)).map_err(|_| fault())?;
        url.set_username(user).map_err(|()| fault())?;
        url.set_password(Some(password.expose())).map_err(|()| fault())?;
        url.path_segments_mut().map_err(|()| fault())?.push(self.database.as_deref().unwrap_or_default());
        url.query_pairs_mut().append_pair("ssl-mode", self.ssl_mode());
        Ok(Secret::new(url.into()))
    }

    fn is_on_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Runs statements one after the other.
pub(super) async fn run(connection: &mut MySqlConnection, script: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(script)).execute(connection).await.map(drop)
}

/// The server's number for an error.
pub(super) fn number(error: &sqlx::Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Tells whose fault an error is. Messages of the server are passed on; see `create` for the one statement whose must not be.
pub(super) fn map(error: sqlx::Error) -> EngineError {
    let number = number(&error);
    match error {
        sqlx::Error::Database(error) => {
            let number = number.unwrap_or(0);
            if error.message().contains(TOO_LATE) {
                return EngineError::TargetUnavailable("it came to the login only after the create deadline".to_owned());
            }
            let text = format!("{} (error {number})", error.message());
            let is_passing = matches!(
                number,
                // Too many connections of all or of ours, starting or shutting down, read only after a failover, out of disk or memory.
                1040 | 1203 | 1226 | 1053 | 1077 | 1079 | 1290 | 1836 | 1021 | 1037 | 1041
                // Lock timeout, deadlock, ended by a timeout of ours, interrupted, killed.
                | 1205 | 1213 | 1969 | 3024 | 1317 | 1927
            ) || error.code().is_some_and(|state| state.starts_with("08") && !matches!(number, 1129 | 1130));
            if is_passing { EngineError::TargetUnavailable(text) } else { EngineError::TargetRefused(text) }
        }
        sqlx::Error::Configuration(error) => EngineError::Misconfigured(error.to_string()),
        sqlx::Error::PoolTimedOut => EngineError::TargetUnavailable("no session to it became free in time".to_owned()),
        other => EngineError::TargetUnavailable(other.to_string()),
    }
}

/// Where the administrator connects to. Whoever stands in between reads every password there is: a server that is not on this
/// machine has to prove its name by a certificate. Errors repeat nothing of the address.
pub(super) fn address(connection: &Connection, settings: &Settings) -> Result<Address, EngineError> {
    let wrong = |what: &str| EngineError::Misconfigured(format!("connection `{}`: {what}", connection.name));
    let form = || wrong("`url` needs the form mysql://admin@host:3306/shop");
    let url = Url::parse(&connection.url).map_err(|_| form())?;
    if url.password().is_some() {
        return Err(wrong("`url` holds a password; put it in a file and name that as `password_file`"));
    }
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    if !["mysql", "mariadb"].contains(&url.scheme()) || url.username().is_empty() || host.is_empty() {
        return Err(form());
    }
    let clear = |part: &str| percent_decode_str(part).decode_utf8().ok().map(Cow::into_owned).filter(|text| !text.contains('\0'));
    let path = url.path().trim_start_matches('/');
    let mut address = Address {
        user: clear(url.username()).ok_or_else(form)?,
        host,
        port: url.port().unwrap_or(3306),
        database: if path.is_empty() { None } else { Some(clear(path).ok_or_else(form)?) },
        mode: MySqlSslMode::Preferred,
    };
    let here = address.is_on_this_machine();
    if !here || settings.ca_file.is_some() {
        address.mode = MySqlSslMode::VerifyIdentity;
    }
    for (key, value) in url.query_pairs() {
        if !["ssl-mode", "sslmode"].contains(&key.as_ref()) {
            return Err(wrong("`url` has a parameter that is not `ssl-mode`"));
        }
        address.mode = value.parse().map_err(|_| wrong("the ssl-mode of `url` is none"))?;
    }
    if !here && !matches!(address.mode, MySqlSslMode::VerifyIdentity) {
        return Err(wrong(
            "the ssl-mode of `url` lets anybody in between read along: a server elsewhere needs ssl-mode=VERIFY_IDENTITY",
        ));
    }
    Ok(address)
}

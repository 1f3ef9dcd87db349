//! Where the database is and how it is used.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use url::Url;

use super::StoreError;

/// How long an idle connection is trusted without asking.
const TRUSTED: Duration = Duration::from_secs(1);

/// The `[database]` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// `postgres://daypass@db.example:5432/daypass?sslmode=verify-full`, without a password.
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
    /// The target of `url` with the password of `password_file`.
    pub(super) async fn target(&self) -> Result<PgConnectOptions, StoreError> {
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
            // Statements here are short; compiling them never pays.
            ("jit", "off".to_owned()),
        ])
    }

    /// How long a server that says nothing is believed to be there. It ends every statement itself before that.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms.saturating_add(3_000))
    }

    /// A connection is asked whether it lives when it comes back, and again only if it has then been idle for a while: a
    /// question before each of a thousand reads a second costs as much as the reads.
    pub(super) fn pool(&self) -> PgPoolOptions {
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(Duration::from_millis(self.acquire_timeout_ms))
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    // An error here closes this connection and takes another.
                    if meta.idle_for > TRUSTED { connection.ping().await.map(|()| true) } else { Ok(true) }
                })
            })
    }
}

pub(super) async fn parse(url: &str, password_file: Option<&PathBuf>) -> Result<PgConnectOptions, StoreError> {
    let target = guarded(url).map_err(|what| StoreError::Url(what.to_owned()))?;
    let Some(path) = password_file else { return Ok(target) };
    let read = tokio::fs::read_to_string(path).await;
    let password = read.map_err(|source| StoreError::PasswordFile { path: path.display().to_string(), source })?;
    Ok(target.password(password.trim_end_matches(['\r', '\n'])))
}

/// The address of a PostgreSQL server as it stands in a configuration: without a password. Errors repeat nothing of it.
pub fn address(url: &str) -> Result<PgConnectOptions, &'static str> {
    let has_password = |url: Url| url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password");
    if Url::parse(url).is_ok_and(has_password) {
        return Err("`url` holds a password; put it in a file and name that as `password_file`");
    }
    guarded(url)
}

/// The address of a PostgreSQL server, the broker's own or a target. Whoever stands in between reads every credential there is: a
/// server that is not on this machine has to prove its name by a certificate, and no parameter turns that off.
fn guarded(url: &str) -> Result<PgConnectOptions, &'static str> {
    const FORM: &str = "`url` needs the form postgresql://admin@host:5432/shop";
    let parsed = Url::parse(url).map_err(|_| FORM)?;
    if !["postgres", "postgresql"].contains(&parsed.scheme()) {
        return Err(FORM);
    }
    let options: PgConnectOptions = url.parse().map_err(|_| "a parameter of `url` is not valid")?;
    if is_on_this_machine(&options) {
        return Ok(options);
    }
    if !parsed.query_pairs().any(|(key, _)| ["sslmode", "ssl-mode"].contains(&key.as_ref())) {
        return Ok(options.ssl_mode(PgSslMode::VerifyFull));
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => Ok(options),
        _ => Err("the sslmode of `url` lets anybody in between read along: a server elsewhere needs sslmode=verify-full"),
    }
}

/// Judges where the connection goes in the end, which a parameter of the URL or the environment may have changed.
fn is_on_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_proves_its_name() {
        for url in ["postgres://u@db/x", "postgres://u@localhost/x?host=db", "postgres://u@localhost/x?hostaddr=10.0.0.5"] {
            assert!(matches!(address(url).unwrap().get_ssl_mode(), PgSslMode::VerifyFull), "{url}");
            for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
                let weak = format!("{url}{}sslmode={mode}", if url.contains('?') { '&' } else { '?' });
                assert!(address(&weak).unwrap_err().contains("verify-full"), "{weak}");
            }
        }
        assert!(address("postgres://u@db/x?sslmode=verify-full").is_ok());
    }

    #[test]
    fn this_machine_needs_no_certificate() {
        for url in [
            "postgres://u@localhost/x",
            "postgres://u@127.0.0.1:7/x",
            "postgres://u@[::1]/x",
            "postgres://u@%2Frun%2Fpg/x",
            "postgres://u@localhost/x?host=/run/pg",
            "postgres://u@127.0.0.1/x?sslmode=disable",
        ] {
            assert!(address(url).is_ok_and(|options| !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)), "{url}");
        }
    }

    #[test]
    fn errors_repeat_nothing_of_the_address() {
        for url in ["postgres://u:hunter2@db/x", "postgres://u@db/x?password=hunter2", "hunter2", "https://hunter2"] {
            assert!(!address(url).unwrap_err().contains("hunter2"), "{url}");
        }
    }
}

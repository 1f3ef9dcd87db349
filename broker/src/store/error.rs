//! What can be wrong with the database, in words that name the remedy.

use sqlx::Error;

use crate::crypto::keyring::KeyringError;
use crate::crypto::seals::SealError;
use crate::system::NoEntropy;

/// A fault of the store. Refusals are values of the verbs, never these.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database is not reachable: {0}")]
    Unreachable(#[source] Error),
    #[error("the database URL cannot be read: {0}")]
    Url(String),
    #[error("the password file {path} cannot be read: {source}")]
    PasswordFile { path: String, source: std::io::Error },
    #[error("the database has no Daypass schema; run: daypass-broker migrate")]
    SchemaMissing,
    #[error("the database schema is at {found}, this program needs {needed}; run: daypass-broker migrate")]
    SchemaOlder { found: i64, needed: i64 },
    #[error("the database schema is at {found}, this program knows {known}; start the newer program")]
    SchemaNewer { found: i64, known: i64 },
    #[error("the role {role} may not use the Daypass schema; run: daypass-broker migrate --serving-role {role}")]
    NotGranted { role: String },
    #[error("there is no database role {0}; make it first: create role {0} login")]
    NoSuchRole(String),
    #[error(
        "the migration waited in vain for a lock that a running broker, or another migration, holds; nothing of this step was changed: \
         run it again, and stop the brokers first if it goes on"
    )]
    MigrationLocked,
    #[error("the migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The connection was lost after something was sent: it may have happened or not. Whoever asked gets no answer.
    #[error("the connection to the database was lost; whether the change was made is not known: {0}")]
    InDoubt(#[source] Error),
    #[error("the database is out of space or connections: {0}")]
    Exhausted(#[source] Error),
    #[error("the database refused a statement: {0}")]
    Database(#[source] Error),
    /// A row says something that this program never writes.
    #[error("a row of {0} cannot be read; it was changed by something else")]
    Corrupt(&'static str),
    #[error("another replica has just rotated the data key; nothing was changed")]
    RotatedElsewhere,
    #[error("the store is closed")]
    Stopped,
    #[error("a record that changes something says nothing to the log")]
    Unrecorded,
    #[error("a text holds a NUL character, which the database cannot keep")]
    Nul,
}

impl StoreError {
    pub(super) fn at_connect(error: Error) -> Self {
        match error {
            Error::Configuration(error) => Self::Url(error.to_string()),
            error => Self::Unreachable(error),
        }
    }

    /// Whether trying the same again later can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::InDoubt(_) | Self::Exhausted(_) => true,
            // serialization failure, deadlock, lock timeout, statement timeout
            Self::Database(error) => matches!(code(error).as_deref(), Some("40001" | "40P01" | "55P03" | "57014")),
            _ => false,
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::PoolTimedOut | Error::PoolClosed => Self::Unreachable(error),
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => Self::InDoubt(error),
            Error::Database(database) => match database.code().as_deref() {
                // insufficient resources: disk full, out of memory, too many connections
                Some(code) if code.starts_with("53") => Self::Exhausted(error),
                // the server is shutting down or starting up
                Some("57P01" | "57P02" | "57P03") => Self::InDoubt(error),
                // the server is a standby: nothing was done
                Some("25006") => Self::Unreachable(error),
                _ => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}

impl From<NoEntropy> for StoreError {
    fn from(_: NoEntropy) -> Self {
        Self::Keyring(KeyringError::NoEntropy)
    }
}

/// The code of an error that the server itself reported.
pub(super) fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}

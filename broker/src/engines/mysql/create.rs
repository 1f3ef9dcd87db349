//! Making a login.
//!
//! The clear password never travels in a statement that a server would log: MariaDB is given the hash that it keeps. MySQL's own
//! form of the hash is not ours to compute, but it blots passwords out of its logs, in statements that name them plainly; therefore
//! the password stands in such a one alone, and the account is made with another one, that nobody keeps.

use std::time::Duration;

use aws_lc_rs::digest;
use domain::secret::Secret;
use sqlx::mysql::MySqlConnection;
use time::OffsetDateTime;

use super::EngineError;
use super::admin::{Admin, Kind, TOO_LATE, map, number, run};
use super::settings::{Settings, StatementSet};
use super::statement::{fill, literal};
use crate::engines::login;
use crate::system::System;

/// Everything that says what is to be made.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a Secret<String>,
    pub(super) deadline: OffsetDateTime,
    pub(super) settings: &'a Settings,
    pub(super) statements: &'a StatementSet,
}

/// 256 random bits, and a sign of each sort that a server's rules for passwords may ask for.
pub(super) fn password(system: &System) -> Result<Secret<String>, EngineError> {
    Ok(Secret::new(format!("{}-aA0", login::password(system)?.expose())))
}

/// The account of a login, as it stands in statements.
pub(super) fn account(user: &str) -> String {
    format!("{}@'%'", literal(user))
}

/// What makes `password` the one that opens an account.
pub(super) fn identified(kind: Kind, password: &Secret<String>) -> Secret<String> {
    Secret::new(match kind {
        Kind::Mysql => format!("identified by {}", literal(password.expose())),
        Kind::Mariadb => format!("identified via mysql_native_password using '{}'", native_hash(password.expose()).expose()),
    })
}

/// What MariaDB keeps of a password: `*` and the SHA-1 of its SHA-1. That is weak for a password that one could guess; of 256
/// random bits it tells nothing. Every MariaDB and every client knows it; `ed25519` is a plugin that most do not have loaded.
fn native_hash(password: &str) -> Secret<String> {
    let once = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let twice = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    Secret::new(twice.as_ref().iter().fold("*".to_owned(), |hash, byte| format!("{hash}{byte:02X}")))
}

/// Makes the account before the deadline or not at all.
pub(super) async fn create(system: &System, admin: &Admin, order: &Order<'_>) -> Result<(), EngineError> {
    let left = Duration::try_from(order.deadline - system.now()).unwrap_or_default();
    if left.is_zero() {
        return Err(EngineError::TargetUnavailable("the create deadline passed before it was asked".to_owned()));
    }
    admin.within(left, async |home, kind| make(home, kind, system, order).await).await
}

async fn make(home: &mut MySqlConnection, kind: Kind, system: &System, order: &Order<'_>) -> Result<(), EngineError> {
    let account = account(order.user);
    let deadline = deadline(home, system, order.deadline).await?;
    let thrown_away = identified(kind, &password(system)?);
    // Two days: the last resort, if nobody ever takes it back. They lie behind the end of the longest lease, however it is renewed.
    let making = format!(
        "create user {account} {identified} require {require} with max_user_connections {limit} \
         password expire interval 2 day account lock",
        identified = thrown_away.expose(),
        require = if order.settings.require_ssl { "ssl" } else { "none" },
        limit = order.settings.connection_limit,
    );
    run(home, in_time(deadline, &making)).await.map_err(silent)?;
    for statement in &order.statements.create {
        run(home, fill(statement, &account)).await.map_err(map)?;
    }
    let opening = format!("alter user {account} {} account unlock", identified(kind, order.password).expose());
    run(home, opening).await.map_err(silent)
}

/// The deadline by the server's own clock, in microseconds.
async fn deadline(home: &mut MySqlConnection, system: &System, deadline: OffsetDateTime) -> Result<i128, EngineError> {
    let clock: i64 =
        sqlx::query_scalar("select cast(unix_timestamp(sysdate(6)) * 1000000 as signed)").fetch_one(home).await.map_err(map)?;
    // The server's clock was read before this moment, so what follows lies at or before the true deadline.
    let left = (deadline - system.now()).whole_microseconds();
    Ok(i128::from(clock) + left)
}

/// The statement, which the server itself refuses after the deadline, however late it comes to it. Waiting for locks is bounded, and
/// whoever takes back a name that was never made holds it for longer than that.
pub(super) fn in_time(deadline: i128, statement: &str) -> String {
    format!(
        "set @daypass = if(unix_timestamp(sysdate(6)) * 1000000 > {deadline}, 'select {TOO_LATE}', {}); \
         prepare daypass from @daypass; set @daypass = null; execute daypass; deallocate prepare daypass",
        literal(statement)
    )
}

/// What the server says of a statement that holds a password may repeat it, when it does not understand the statement.
fn silent(error: sqlx::Error) -> EngineError {
    match number(&error) {
        Some(number @ (1064 | 1065 | 1149)) => {
            EngineError::TargetRefused(format!("it does not know the way accounts are made (error {number}): is it too old?"))
        }
        _ => map(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of MariaDB's manual for `password('mariadb')`.
    #[test]
    fn hashes_as_the_server_does() {
        assert_eq!(native_hash("mariadb").expose(), "*54958E764CE10E50764C2EECBB71D01F08549980");
    }

    #[test]
    fn a_password_stands_as_a_text_only() {
        let hostile = Secret::from("x' account unlock; drop user root; -- \\");
        assert_eq!(identified(Kind::Mysql, &hostile).expose(), "identified by 'x'' account unlock; drop user root; -- \\\\'");
        assert!(!identified(Kind::Mariadb, &hostile).expose().contains("root"));
    }
}

//! A database on a real MariaDB, with an administrator who may do what `deploy/mysql-admin.sql` says and no more.

use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::cluster::word;

/// One database that logins are made for.
#[derive(Clone, Debug)]
pub struct Mariadb {
    root: MySqlConnectOptions,
    pub database: String,
    pub admin: String,
    pub password: String,
}

impl Mariadb {
    /// On the server of `./dev test`, which `DAYPASS_TEST_MARIADB` names; without one there is none, and a test says so.
    pub async fn of_tests() -> Result<Option<Self>> {
        match std::env::var("DAYPASS_TEST_MARIADB") {
            Ok(url) => Self::make(&url).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// On the server of `url`, which names its root.
    pub async fn make(url: &str) -> Result<Self> {
        let root = MySqlConnectOptions::from_str(url)?.ssl_mode(MySqlSslMode::Disabled).disable_statement_logging();
        let tag = word(4)?;
        let made = Self { root, database: format!("it_{tag}"), admin: format!("it_{tag}_admin"), password: word(16)? };
        let Self { database, admin, password, .. } = &made;
        made.run(&format!(
            "create database {database}; create table {database}.orders (id int); insert into {database}.orders values (1);
             create user {admin}@'%' identified by '{password}';
             grant create user, process, connection admin on *.* to {admin}@'%';
             grant select (user, host, max_questions) on mysql.user to {admin}@'%';
             grant select, insert on {database}.* to {admin}@'%' with grant option"
        ))
        .await?;
        Ok(made)
    }

    /// The view of the server's root, whom the broker does not know.
    pub async fn look(&self) -> Result<MySqlConnection> {
        self.root.connect().await.context("MariaDB does not answer")
    }

    pub async fn run(&self, script: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(&mut self.look().await?).await?;
        Ok(())
    }

    /// As a job would, with what it was given.
    pub async fn login(&self, user: &str, password: &str) -> Result<MySqlConnection, sqlx::Error> {
        self.root.clone().username(user).password(password).database(&self.database).connect().await
    }

    /// `[connection.NAME]`, with a statement set `all`; the password stands in the file that is named.
    pub fn configuration(&self, name: &str, password_file: &str, allowed_roles: &str) -> String {
        let Self { database, admin, .. } = self;
        let (host, port) = (self.root.get_host(), self.root.get_port());
        format!(
            "[connection.{name}]\nengine = \"mysql\"\nurl = \"mysql://{admin}@{host}:{port}/{database}\"\n\
             password_file = \"{password_file}\"\nallowed_roles = [\"{allowed_roles}\"]\n\
             [connection.{name}.statements.all]\ncreate = [\"grant select, insert on {database}.* to {{{{name}}}}\"]\n"
        )
    }

    /// Drops the database, the administrator, and every account whose name begins so.
    pub async fn clear(&self, prefix: &str) -> Result<()> {
        let mut root = self.look().await?;
        let accounts: Vec<String> = sqlx::query_scalar(
            "select concat(quote(user), '@', quote(host)) from mysql.user where left(user, char_length(?)) = ?",
        )
        .bind(prefix)
        .bind(prefix)
        .fetch_all(&mut root)
        .await?;
        let Self { database, admin, .. } = self;
        let mut statements = vec![format!("drop database if exists {database}"), format!("drop user if exists {admin}@'%'")];
        statements.extend(accounts.iter().filter(|_| !prefix.is_empty()).map(|account| format!("drop user if exists {account}")));
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut root).await?;
        }
        Ok(())
    }
}

//! Databases and roles for one test, on the cluster of `DATABASE_URL`.

use std::str::FromStr;

use anyhow::{Context as _, Result};
use broker::system::System;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

/// The broker's own database with its serving role, and a target with its administrator. Dropped with this value.
#[derive(Debug)]
pub struct Databases {
    superuser: PgConnectOptions,
    /// In every name here, so that tests do not meet.
    tag: String,
    pub serving_password: String,
    pub admin_password: String,
}

impl Databases {
    /// Makes and migrates them.
    pub async fn make() -> Result<Self> {
        let made = Self::bare().await?;
        made.migrate().await?;
        Ok(made)
    }

    /// Makes them, with no schema in the broker's.
    pub async fn bare() -> Result<Self> {
        let url = std::env::var("DATABASE_URL").context(
            "DATABASE_URL must name a superuser of a PostgreSQL that the tests may use as they like; ./dev test makes one",
        )?;
        let superuser = PgConnectOptions::from_str(&url)?.disable_statement_logging();
        let made = Self { superuser, tag: word(6)?, serving_password: word(16)?, admin_password: word(16)? };
        let mut home = made.superuser.connect().await.context("the cluster of DATABASE_URL does not answer")?;
        for (statement, database) in made.statements() {
            if database == "postgres" {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut home).await?;
            } else {
                let mut there = made.connect(&database).await?;
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut there).await?;
            }
        }
        Ok(made)
    }

    /// As `deploy/database.sql` and `deploy/shop.sql` say, under names of this test's own.
    fn statements(&self) -> Vec<(String, String)> {
        let Self { tag, serving_password, admin_password, .. } = self;
        let (serving, broker) = (self.serving_role(), self.broker());
        let (admin, shop, group) = (self.admin(), self.shop(), self.group());
        let home = |statement: String| (statement, "postgres".to_owned());
        let there = format!(
            "create table orders (id integer generated always as identity primary key, customer text not null); \
             insert into orders (customer) values ('{tag}'); revoke all on schema public from public; \
             grant usage on schema public to {group}; grant select, insert on orders to {group}"
        );
        vec![
            home(format!("create role {serving} login noinherit password '{serving_password}'")),
            home(format!("create database {broker}")),
            home(format!("revoke all on database {broker} from public; grant connect on database {broker} to {serving}")),
            home(format!("create role {group} nologin")),
            home(format!("create role {admin} login createrole password '{admin_password}'")),
            home(format!("grant {group} to {admin} with admin option")),
            home(format!("create database {shop}")),
            home(format!("revoke all on database {shop} from public; grant connect on database {shop} to {group}, {admin}")),
            (there, shop.clone()),
        ]
    }

    pub async fn migrate(&self) -> Result<()> {
        let url = self.url(&self.superuser_name(), &self.broker());
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), superuser_password())?;
        broker::store::migrate(&url, Some(&file.path().to_owned()), Some(&self.serving_role())).await?;
        Ok(())
    }

    pub fn broker(&self) -> String {
        format!("it_{}_daypass", self.tag)
    }

    pub fn shop(&self) -> String {
        format!("it_{}_shop", self.tag)
    }

    pub fn serving_role(&self) -> String {
        format!("it_{}_serving", self.tag)
    }

    pub fn admin(&self) -> String {
        format!("it_{}_admin", self.tag)
    }

    /// The group that every login becomes a member of.
    pub fn group(&self) -> String {
        format!("it_{}_readwrite", self.tag)
    }

    pub fn port(&self) -> u16 {
        self.superuser.get_port()
    }

    pub fn host(&self) -> String {
        self.superuser.get_host().to_owned()
    }

    /// An address without a password.
    pub fn url(&self, role: &str, database: &str) -> String {
        self.url_at(self.port(), role, database)
    }

    pub fn url_at(&self, port: u16, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}:{port}/{database}", self.superuser.get_host())
    }

    fn superuser_name(&self) -> String {
        self.superuser.get_username().to_owned()
    }

    /// A superuser's connection.
    pub async fn connect(&self, database: &str) -> Result<PgConnection> {
        Ok(self.superuser.clone().database(database).connect().await?)
    }

    /// A superuser's connection to the broker's database.
    pub async fn records(&self) -> Result<PgConnection> {
        self.connect(&self.broker()).await
    }

    /// As somebody else.
    pub async fn login(&self, role: &str, password: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        let target = self.superuser.clone().username(role).password(password).database(database).ssl_mode(PgSslMode::Disable);
        target.connect().await
    }

    /// The logins that exist at the target.
    pub async fn logins(&self) -> Result<Vec<String>> {
        let mut home = self.superuser.connect().await?;
        let names = sqlx::query_scalar(
            "select m.rolname::text from pg_auth_members a join pg_roles g on g.oid = a.roleid join pg_roles m on m.oid = a.member
             where g.rolname = $1 and m.rolname <> $2 order by 1",
        );
        Ok(names.bind(self.group()).bind(self.admin()).fetch_all(&mut home).await?)
    }

    /// The kinds of audit records, oldest first.
    pub async fn kinds(&self) -> Result<Vec<String>> {
        let mut records = self.records().await?;
        Ok(sqlx::query_scalar("select kind from daypass.audit_records order by id").fetch_all(&mut records).await?)
    }

    /// How many rows a statement counts in the broker's database.
    pub async fn count(&self, from: &str) -> Result<i64> {
        let mut records = self.records().await?;
        let statement = AssertSqlSafe(format!("select count(*) from daypass.{from}"));
        Ok(sqlx::query_scalar(statement).fetch_one(&mut records).await?)
    }

    async fn drop_all(&self) -> Result<()> {
        let mut home = self.superuser.connect().await?;
        let logins = self.logins().await?;
        for database in [self.broker(), self.shop()] {
            sqlx::raw_sql(AssertSqlSafe(format!("drop database if exists {database} with (force)"))).execute(&mut home).await?;
        }
        for role in logins.into_iter().chain([self.admin(), self.serving_role(), self.group()]) {
            sqlx::raw_sql(AssertSqlSafe(format!("drop role if exists \"{role}\""))).execute(&mut home).await?;
        }
        home.close().await?;
        Ok(())
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        // A test's own runtime is on its way out; this one is only for the farewell, which nobody can be told the failure of.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    let _ = runtime.block_on(self.drop_all());
                }
            });
        });
    }
}

/// Random letters and digits.
pub fn word(bytes: usize) -> Result<String> {
    let random = System::real().0.random::<32>()?;
    Ok(random
        .iter()
        .take(bytes)
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect())
}

/// What `DATABASE_URL` says, for the migration, which takes no password in a URL.
fn superuser_password() -> String {
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    let parsed: Option<(String, String)> = url.split_once("://").and_then(|(_, rest)| {
        let (user, password) = rest.split_once('@')?.0.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    });
    parsed.map(|(_, password)| password).unwrap_or_default()
}

//! The targets: databases on servers that may crash, each a connection of the broker with a role of its own.

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use crate::cluster::word;
use crate::mariadb::Mariadb;

/// Names of the connections to PostgreSQL. One more target of this kind is one more name.
const NAMES: [&str; 2] = ["north", "south"];
/// The one to MariaDB.
const MARIADB: &str = "east";
/// How long a job waits for its login, and the oracle for a catalog: a frozen server answers nobody.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// One database that jobs get logins for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) at: At,
}

/// Where it is, with its administrator.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Postgres { database: String, admin: String, group: String, password: String },
    Mariadb(Box<Mariadb>),
}

/// All of them, and the superuser of their server, whom the broker does not know.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    superuser: PgConnectOptions,
    /// What every leased login is called, as a pattern.
    pub(crate) logins: &'static str,
    pub(crate) all: Vec<Target>,
}

/// A job's own session.
#[derive(Debug)]
pub(crate) enum Session {
    Postgres(PgConnection),
    Mysql(MySqlConnection),
}

impl Session {
    pub(crate) async fn is_open(&mut self) -> bool {
        match self {
            Self::Postgres(session) => session.ping().await.is_ok(),
            Self::Mysql(session) => session.ping().await.is_ok(),
        }
    }
}

impl Targets {
    /// Makes them on the servers of these addresses.
    pub(crate) async fn make(url: &str, mariadb: Option<&str>) -> Result<Self> {
        let superuser = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let mut all = Vec::new();
        let mut home = superuser.connect().await.context("the targets' server does not answer")?;
        for name in NAMES {
            let tag = word(4)?;
            let (database, admin, group) =
                (format!("chaos_{tag}_{name}"), format!("chaos_{tag}_admin"), format!("chaos_{tag}_group"));
            let password = word(16)?;
            for statement in [
                format!("create role {group} nologin"),
                format!("create role {admin} login createrole password '{password}'"),
                format!("grant {group} to {admin} with admin option"),
                format!("create database {database}"),
                format!(
                    "revoke all on database {database} from public; grant connect on database {database} to {group}, {admin}"
                ),
            ] {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut home).await?;
            }
            all.push(Target { name, at: At::Postgres { database, admin, group, password } });
        }
        if let Some(url) = mariadb {
            all.push(Target { name: MARIADB, at: At::Mariadb(Box::new(Mariadb::make(url).await?)) });
        }
        Ok(Self { superuser, logins: "dp\\_%", all })
    }

    /// The superuser's view of the PostgreSQL server.
    pub(crate) async fn look(&self) -> Result<PgConnection> {
        Ok(self.superuser.connect().await?)
    }

    /// The databases on the PostgreSQL server.
    pub(crate) fn databases(&self) -> Vec<String> {
        let names = self.all.iter().filter_map(|target| match &target.at {
            At::Postgres { database, .. } => Some(database.clone()),
            At::Mariadb(_) => None,
        });
        names.collect()
    }

    pub(crate) fn mariadb(&self) -> Option<&Mariadb> {
        self.all.iter().find_map(|target| match &target.at {
            At::Mariadb(mariadb) => Some(mariadb.as_ref()),
            At::Postgres { .. } => None,
        })
    }

    /// As a job would, with what it was given.
    pub(crate) async fn login(&self, target: &Target, user: &str, password: &str) -> Result<Session> {
        let login = async {
            Ok(match &target.at {
                At::Postgres { database, .. } => {
                    let options = self.superuser.clone().username(user).password(password).database(database);
                    Session::Postgres(options.ssl_mode(PgSslMode::Disable).connect().await?)
                }
                At::Mariadb(mariadb) => Session::Mysql(mariadb.login(user, password).await?),
            })
        };
        tokio::time::timeout(PATIENCE, login).await?
    }

    /// What the broker's configuration says of them. Passwords stand in files that `keep` writes.
    pub(crate) fn configuration(&self, keep: impl Fn(&str, &str) -> Result<()>) -> Result<String> {
        // One project asks for everybody here.
        let mut text = vec!["[limits.rate]\nper_project_minute = 1000000\nper_project_burst = 1000000\n".to_owned()];
        for Target { name, at } in &self.all {
            let (file, allowed) = (format!("{name}.password"), "chaos-*");
            match at {
                At::Postgres { database, admin, group, password } => {
                    keep(&file, password)?;
                    let (host, port) = (self.superuser.get_host(), self.superuser.get_port());
                    text.push(format!(
                        "[connection.{name}]\nengine = \"postgres\"\nurl = \"postgres://{admin}@{host}:{port}/{database}\"\n\
                         password_file = \"secrets/{file}\"\nallowed_roles = [\"{allowed}\"]\n\
                         [connection.{name}.statements.all]\ncreate = [\"grant {group} to {{{{name}}}}\"]\n"
                    ));
                }
                At::Mariadb(mariadb) => {
                    keep(&file, &mariadb.password)?;
                    text.push(mariadb.configuration(name, &format!("secrets/{file}"), allowed));
                }
            }
        }
        Ok(text.concat())
    }

    /// A role for each.
    pub(crate) fn policy(&self) -> String {
        let role = |target: &Target| {
            let name = target.name;
            let engine = if matches!(target.at, At::Postgres { .. }) { "postgres" } else { "mysql" };
            format!(
                "[role.chaos-{name}]\nttl = \"10m\"\nmax_leases = 10000\n\
                 [[role.chaos-{name}.allow]]\nissuer = \"github\"\nrepository_owner_id = \"9919\"\nrepository_id = \"637712\"\n\
                 ref = \"refs/heads/main\"\nevent_name = \"push\"\nenvironment = \"production\"\n\
                 [role.chaos-{name}.credential.database]\nengine = \"{engine}\"\nconnection = \"{name}\"\nstatements = \"all\"\n\n"
            )
        };
        self.all.iter().map(role).collect()
    }

    /// Drops what was made, whatever is left of it.
    pub(crate) async fn clear(&self) -> Result<()> {
        let mut home = self.look().await?;
        if let Some(mariadb) = self.mariadb() {
            mariadb.clear("dp_").await?;
        }
        for target in &self.all {
            let At::Postgres { database, admin, group, .. } = &target.at else { continue };
            let left: Vec<String> = sqlx::query_scalar(
                "select m.rolname::text from pg_auth_members a join pg_roles g on g.oid = a.roleid
                 join pg_roles m on m.oid = a.member where g.rolname = $1 and m.rolname <> $2",
            )
            .bind(group)
            .bind(admin)
            .fetch_all(&mut home)
            .await?;
            let mut statements = vec![format!("drop database if exists {database} with (force)")];
            statements.extend(left.iter().map(|login| format!("drop role if exists \"{login}\"")));
            statements.extend([format!("drop role if exists {admin}"), format!("drop role if exists {group}")]);
            for statement in statements {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut home).await?;
            }
        }
        Ok(())
    }
}

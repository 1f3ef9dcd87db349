//! The targets: databases on a server that may crash, each a connection of the broker with a role of its own.

use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};

use crate::cluster::word;

/// Names of the connections. One more target of this kind is one more name.
const NAMES: [&str; 2] = ["north", "south"];

/// One database that jobs get logins for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) database: String,
    admin: String,
    group: String,
    password: String,
}

/// All of them, and the superuser of their server, whom the broker does not know.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    superuser: PgConnectOptions,
    /// What every leased login is called, as a pattern.
    pub(crate) logins: &'static str,
    pub(crate) all: Vec<Target>,
}

impl Targets {
    /// Makes them on the server of `url`.
    pub(crate) async fn make(url: &str) -> Result<Self> {
        let superuser = PgConnectOptions::from_str(url)?.disable_statement_logging();
        let mut all = Vec::new();
        let mut home = superuser.connect().await.context("the targets' server does not answer")?;
        for name in NAMES {
            let tag = word(4)?;
            let target = Target {
                name,
                database: format!("chaos_{tag}_{name}"),
                admin: format!("chaos_{tag}_admin"),
                group: format!("chaos_{tag}_group"),
                password: word(16)?,
            };
            let Target { database, admin, group, password, .. } = &target;
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
            all.push(target);
        }
        Ok(Self { superuser, logins: "dp\\_%", all })
    }

    /// The superuser's view of the server.
    pub(crate) async fn look(&self) -> Result<PgConnection> {
        Ok(self.superuser.connect().await?)
    }

    /// As a job would, with what it was given.
    pub(crate) async fn login(&self, target: &Target, user: &str, password: &str) -> Result<PgConnection, sqlx::Error> {
        let options = self.superuser.clone().username(user).password(password).database(&target.database);
        options.ssl_mode(PgSslMode::Disable).connect().await
    }

    /// What the broker's configuration says of them. Passwords stand in files that `keep` writes.
    pub(crate) fn configuration(&self, keep: impl Fn(&str, &str) -> Result<()>) -> Result<String> {
        // One project asks for everybody here.
        let mut text = vec!["[limits.rate]\nper_project_minute = 1000000\nper_project_burst = 1000000\n".to_owned()];
        for Target { name, database, admin, group, password } in &self.all {
            keep(&format!("{name}.password"), password)?;
            let (host, port) = (self.superuser.get_host(), self.superuser.get_port());
            text.push(format!(
                "[connection.{name}]\nengine = \"postgres\"\nurl = \"postgres://{admin}@{host}:{port}/{database}\"\n\
                 password_file = \"secrets/{name}.password\"\nallowed_roles = [\"chaos-*\"]\n\
                 [connection.{name}.statements.all]\ncreate = [\"grant {group} to {{{{name}}}}\"]\n"
            ));
        }
        Ok(text.concat())
    }

    /// A role for each.
    pub(crate) fn policy(&self) -> String {
        let role = |target: &Target| {
            let name = target.name;
            format!(
                "[role.chaos-{name}]\nttl = \"10m\"\nmax_leases = 10000\n\
                 [[role.chaos-{name}.allow]]\nissuer = \"github\"\nrepository_owner_id = \"9919\"\nrepository_id = \"637712\"\n\
                 ref = \"refs/heads/main\"\nevent_name = \"push\"\nenvironment = \"production\"\n\
                 [role.chaos-{name}.credential.database]\nengine = \"postgres\"\nconnection = \"{name}\"\nstatements = \"all\"\n\n"
            )
        };
        self.all.iter().map(role).collect()
    }

    /// Drops what was made, whatever is left of it.
    pub(crate) async fn clear(&self) -> Result<()> {
        let mut home = self.look().await?;
        for target in &self.all {
            let Target { database, admin, group, .. } = target;
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

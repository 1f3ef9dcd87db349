//! The broker's database on two servers: a primary and a standby that has everything that the primary has answered for.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use broker::dev::postgres::{Durability, Options, Postgres};
use broker::system::System;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster::Databases;

/// The database's name on both.
pub const DATABASE: &str = "daypass";

/// Two servers, the second one a synchronous standby of the first until it is promoted.
#[derive(Debug)]
pub struct Pair {
    primary: Option<Postgres>,
    pub standby: Postgres,
    pub primary_port: u16,
    _folder: TempDir,
}

impl Pair {
    /// Makes both, with the schema and the serving role of `databases` in them.
    pub async fn make(databases: &Databases) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("daypass-pair.").tempdir()?;
        // The servers' own user has to pass through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let (system, _) = System::real();
        let start = async |name: &str| {
            let settings = ["fsync=off", "full_page_writes=off"].map(str::to_owned).to_vec();
            let dir = folder.path().join(name);
            Postgres::start(&system, &Options { dir, port: None, bindir: None, durability: Durability::Full, settings }).await
        };
        let primary = start("primary").await?;
        prepare(&primary, databases).await?;
        copy(&primary, &folder.path().join("primary"), &folder.path().join("standby")).await?;
        let standby = start("standby").await?;
        let mut connection = PgConnection::connect(primary.url("postgres").expose()).await?;
        // Only now: without a standby every commit would wait.
        sqlx::raw_sql("alter system set synchronous_standby_names = '*'").execute(&mut connection).await?;
        sqlx::raw_sql("select pg_reload_conf()").execute(&mut connection).await?;
        let until = Instant::now() + Duration::from_secs(20);
        while sqlx::query_scalar::<_, i64>("select count(*) from pg_stat_replication where sync_state = 'sync'")
            .fetch_one(&mut connection)
            .await?
            == 0
        {
            ensure!(Instant::now() < until, "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let primary_port = primary.port();
        Ok(Self { primary: Some(primary), standby, primary_port, _folder: folder })
    }

    /// The address of both, the first one at `port`, for the role that serves.
    pub fn url(&self, databases: &Databases, port: u16) -> String {
        format!("postgres://{}@127.0.0.1:{port},127.0.0.1:{}/{DATABASE}", databases.serving_role(), self.standby.port())
    }

    /// From here on the primary waits for nobody, and the standby hears of nothing.
    pub async fn fall_behind(&self) -> Result<()> {
        let primary = self.primary.as_ref().context("the primary is gone")?;
        for (server, setting) in [(primary, "synchronous_standby_names"), (&self.standby, "primary_conninfo")] {
            let mut connection = PgConnection::connect(server.url("postgres").expose()).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("alter system set {setting} = ''"))).execute(&mut connection).await?;
            sqlx::raw_sql("select pg_reload_conf()").execute(&mut connection).await?;
        }
        let mut connection = PgConnection::connect(primary.url("postgres").expose()).await?;
        let until = Instant::now() + Duration::from_secs(20);
        let follows = "select count(*) from pg_stat_replication";
        while sqlx::query_scalar::<_, i64>(follows).fetch_one(&mut connection).await? > 0 {
            ensure!(Instant::now() < until, "the standby follows still");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends the primary without ceremony.
    pub async fn crash_primary(&mut self) -> Result<()> {
        let primary = self.primary.take();
        // Ending it waits for its processes.
        Ok(tokio::task::spawn_blocking(move || drop(primary)).await?)
    }

    /// Makes the standby the primary.
    pub async fn promote(&self) -> Result<()> {
        let mut connection = PgConnection::connect(self.standby.url("postgres").expose()).await?;
        let promoted: bool = sqlx::query_scalar("select pg_promote()").fetch_one(&mut connection).await?;
        ensure!(promoted, "the standby was not promoted");
        Ok(())
    }

    /// A superuser's connection to the broker's database on the second server.
    pub async fn records(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(self.standby.url(DATABASE).expose()).await?)
    }

    /// The same on the first one.
    pub async fn old_records(&self) -> Result<PgConnection> {
        let primary = self.primary.as_ref().context("the primary is gone")?;
        Ok(PgConnection::connect(primary.url(DATABASE).expose()).await?)
    }
}

/// Gives a server the broker's database with its schema and the serving role of `databases`.
pub async fn prepare(primary: &Postgres, databases: &Databases) -> Result<()> {
    let mut connection = PgConnection::connect(primary.url("postgres").expose()).await?;
    let (role, password) = (databases.serving_role(), &databases.serving_password);
    let statements = [format!("create role {role} login noinherit password '{password}'"), format!("create database {DATABASE}")];
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    broker::store::migrate(primary.url(DATABASE).expose(), None, Some(&role)).await?;
    Ok(())
}

/// A copy of the running primary that follows it, with the same superuser.
async fn copy(primary: &Postgres, from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    let ready = primary.ready();
    let mut command = Command::new(ready.bindir.join("pg_basebackup"));
    command.args(["-h", "127.0.0.1", "-p", &ready.port.to_string(), "-U", ready.superuser, "-R", "-c", "fast", "-N", "-D"]);
    command.arg(to.join("data")).env("PGPASSWORD", primary.password().expose());
    let output = command.output().await.context("pg_basebackup cannot be run")?;
    ensure!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
    let owner = fs::metadata(from.join("data"))?;
    give(&to.join("data"), owner.uid(), owner.gid())?;
    fs::copy(&ready.password_file, to.join("superuser.password"))?;
    Ok(())
}

fn give(path: &Path, uid: u32, gid: u32) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(chown(path, Some(uid), Some(gid))?)
}

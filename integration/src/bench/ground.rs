//! What is measured, as it is run in earnest: a PostgreSQL that keeps what it has committed, and the broker's own program
//! with a configuration, a policy set, sealed secrets and a certificate.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use broker::crypto::seals;
use broker::dev::authority::Authority;
use broker::dev::postgres::{Durability, Options, Postgres};
use broker::store::secrets::Put;
use broker::store::{self, Store};
use broker::system::System;
use domain::credentials::kv::DEFAULT_MOUNT;
use domain::secret::Secret;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::http::{Connection, Target, post};
use super::load::Requests;
use super::tokens::{AUDIENCE, ISSUER, Signer};

/// What both sides of a comparison get of PostgreSQL: room, and not one setting that gives up durability.
pub const SETTINGS: [&str; 8] = [
    "shared_buffers=512MB",
    "wal_buffers=16MB",
    "wal_compression=on",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "max_connections=200",
    "fsync=on",
    "synchronous_commit=on",
];
/// How long a broker may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The machine room of one run.
#[derive(Debug)]
pub struct Ground {
    pub system: System,
    pub postgres: Postgres,
    pub signer: Arc<Signer>,
    pub program: PathBuf,
    dir: TempDir,
}

/// A broker that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    pub pid: u32,
    pub native: SocketAddr,
    pub metrics: SocketAddr,
    /// From the start of the program to the first `200` of `/readyz`.
    pub ready_after: Duration,
    child: Child,
}

impl Ground {
    pub async fn lay(program: PathBuf) -> Result<Self> {
        if !program.is_file() {
            bail!("{} is missing: build it first, or name it with --broker", program.display());
        }
        let (system, _clock) = System::real();
        let dir = tempfile::Builder::new().prefix("daypass-bench.").tempdir()?;
        // The database's user has to pass through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let postgres = Postgres::start(
            &system,
            &Options {
                dir: dir.path().join("pg"),
                port: None,
                bindir: None,
                durability: Durability::Full,
                settings: SETTINGS.map(str::to_owned).to_vec(),
            },
        )
        .await?;
        let signer = Arc::new(Signer::new(&system)?);
        let ground = Self { system, postgres, signer, program, dir };
        ground.prepare_files()?;
        ground.prepare_database().await?;
        Ok(ground)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn postgres_pid(&self) -> u32 {
        self.postgres.ready().pid
    }

    /// A connection of the superuser to the broker's database.
    pub async fn database(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(self.postgres.url("daypass").expose()).await?)
    }

    /// Where the programs of PostgreSQL are.
    pub fn bindir(&self) -> PathBuf {
        self.postgres.ready().bindir
    }

    /// Starts a broker and waits until it says that it is ready.
    pub async fn broker(&self, name: &str, tls: bool) -> Result<Broker> {
        let [native, operator, metrics] = free_addresses()?;
        let config = self.path(&format!("{name}.toml"));
        fs::write(&config, self.configuration(native, operator, metrics, tls))?;
        let log = fs::File::create(self.path(&format!("{name}.log")))?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--config"]).arg(&config).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let mut child = command.kill_on_drop(true).spawn().context("the broker cannot be started")?;
        let pid = child.id().context("the broker ended at once")?;
        while !is_ready(metrics).await {
            if let Some(status) = child.try_wait()? {
                bail!("the broker ended ({status}): {}", self.last_words(name));
            }
            if began.elapsed() > START_LIMIT {
                bail!("the broker is not ready after {} s: {}", START_LIMIT.as_secs(), self.last_words(name));
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Ok(Broker { pid, native, metrics, ready_after: began.elapsed(), child })
    }

    /// A broker's plain or TLS address as a target.
    pub fn target(&self, address: SocketAddr, tls: bool) -> Result<Target> {
        if tls { Target::tls(address, &self.path("ca/ca.pem")) } else { Ok(Target::plain(address)) }
    }

    /// Exchanges of fresh tokens.
    pub async fn exchanges(&self, count: usize, close: bool) -> Result<Arc<Requests>> {
        self.exchanges_in("production", count, close).await
    }

    /// Exchanges of fresh tokens for logins of their own.
    pub async fn logins(&self, count: usize) -> Result<Arc<Requests>> {
        self.exchanges_in("staging", count, false).await
    }

    async fn exchanges_in(&self, environment: &'static str, count: usize, close: bool) -> Result<Arc<Requests>> {
        let signer = self.signer.clone();
        let tokens = tokio::task::spawn_blocking(move || signer.tokens(count, environment)).await??;
        let request = |token: String| post("/api/v1/exchange", &format!("{{\"token\":\"{token}\"}}"), close);
        Ok(Requests::once(tokens.into_iter().map(request).collect()))
    }

    /// What the broker remembers, seen from inside.
    pub async fn store(&self) -> Result<Store> {
        let options = store::Options {
            url: format!("postgres://daypass@127.0.0.1:{}/daypass", self.postgres.port()),
            password_file: Some(self.path("database.password")),
            ..store::Options::default()
        };
        let seal = Arc::new(seals::File::read(&self.path("root.key"))?);
        Ok(Store::connect(&options, seal, self.system.clone()).await?)
    }

    /// One exchange, to see that everything is in place.
    pub async fn try_out(&self, target: &Target) -> Result<()> {
        let token = self.signer.token()?;
        let mut connection = Connection::open(target).await.context("the broker takes no connection")?;
        let status = connection.ask(&post("/api/v1/exchange", &format!("{{\"token\":\"{token}\"}}"), false)).await?;
        if status != 200 {
            bail!("the first exchange was answered {status}: {}", String::from_utf8_lossy(connection.body()));
        }
        Ok(())
    }

    pub async fn end(self) -> Result<()> {
        self.postgres.stop().await
    }

    fn prepare_files(&self) -> Result<()> {
        for name in ["root.key", "database.password"] {
            let bytes = self.system.random::<32>()?;
            let text: String = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(name));
            file?.write_all(text.as_bytes())?;
        }
        let authority = Authority::open(&self.system, &self.path("ca"))?;
        authority.write_leaf(&["localhost".to_owned(), "127.0.0.1".to_owned()], &self.path("tls"))?;
        fs::create_dir(self.path("policies"))?;
        fs::write(self.path("policies/bench.toml"), policy())?;
        fs::write(self.path("keys.json"), self.signer.key_set().to_string())?;
        Ok(())
    }

    /// The schema, the role that serves, and the one secret that every exchange answers.
    async fn prepare_database(&self) -> Result<()> {
        let mut connection = PgConnection::connect(self.postgres.url("postgres").expose()).await?;
        let password = fs::read_to_string(self.path("database.password"))?;
        for statement in [
            format!("create role daypass login noinherit password '{password}'"),
            "create database daypass".to_owned(),
            format!("create role daypass_admin login createrole password '{password}'"),
            "create role shop_readwrite nologin".to_owned(),
            "grant shop_readwrite to daypass_admin with admin option".to_owned(),
            "create database shop".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        connection.close().await?;
        store::migrate(self.postgres.url("daypass").expose(), None, Some("daypass")).await?;

        let store = self.store().await?;
        let data = Secret::new(br#"{"username":"deploy","password":"r3pl4ce-me-r3gularly"}"#.to_vec());
        let mut tx = store.begin().await?;
        let put =
            Put { mount: DEFAULT_MOUNT, path: "shop/registry", data: &data, cas: None, metadata: None, now: self.system.now() };
        tx.put_secret(&put).await?;
        tx.commit().await?;
        store.close().await;
        Ok(())
    }

    fn configuration(&self, native: SocketAddr, operator: SocketAddr, metrics: SocketAddr, tls: bool) -> String {
        let tls = if tls { "tls = { cert = \"tls.pem\", key = \"tls.key\" }" } else { "" };
        let port = self.postgres.port();
        // One project asks for everybody here, so the rate of one project is raised. All else is as it comes.
        format!(
            r#"
[listen]
native   = "{native}"
operator = "{operator}"
metrics  = "{metrics}"
{tls}
[database]
url           = "postgres://daypass@127.0.0.1:{port}/daypass"
password_file = "database.password"
[seal]
file = "root.key"
[policy]
path = "policies"
[limits]
connections_per_address = 4096
rate = {{ per_project_minute = 100000000, per_project_burst = 100000000 }}
[connection.shop]
engine        = "postgres"
url           = "postgres://daypass_admin@127.0.0.1:{port}/shop"
password_file = "database.password"
allowed_roles = ["shop-*"]
max_leases    = 1000000
concurrency   = 8
[connection.shop.statements.readwrite]
create = ["grant shop_readwrite to {{{{name}}}}"]
"#
        )
    }

    fn last_words(&self, name: &str) -> String {
        let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }
}

impl Broker {
    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("the broker cannot be ended")
    }
}

/// An address of this machine that nobody has yet.
pub fn free_address() -> Result<SocketAddr> {
    let [address] = free_addresses()?;
    Ok(address)
}

/// Different ones: each is held until all are known.
fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    for _ in 0..N {
        held.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (address, listener) in addresses.iter_mut().zip(&held) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

/// The program of that name beside the one that runs.
pub fn beside(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program does not know where it is")?;
    Ok(here.parent().unwrap_or(Path::new(".")).join(name))
}

async fn is_ready(metrics: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(&Target::plain(metrics)).await else { return false };
    connection
        .ask(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .is_ok_and(|status| status == 200)
}

fn policy() -> String {
    format!(
        r#"
[issuer.github]
kind      = "github"
url       = "{ISSUER}"
audience  = "{AUDIENCE}"
jwks_file = "../keys.json"

[role.shop-deploy]
ttl = "15m"

[[role.shop-deploy.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
event_name          = "push"
job_workflow_ref    = "acme/shop/.github/workflows/deploy.yml@refs/heads/main"
environment         = "production"

[role.shop-deploy.credential.registry]
engine = "kv"
path   = "shop/registry"

[role.shop-login]
ttl        = "1h"
max_leases = 100000

[[role.shop-login.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
event_name          = "push"
job_workflow_ref    = "acme/shop/.github/workflows/deploy.yml@refs/heads/main"
environment         = "staging"

[role.shop-login.credential.database]
engine     = "postgres"
connection = "shop"
statements = "readwrite"
"#
    )
}

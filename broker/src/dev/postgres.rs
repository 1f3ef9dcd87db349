//! A private PostgreSQL for the demo, the bench and the tests: found on the machine, started in a directory of its own,
//! stopped with the process that asked for it.
//!
//! PostgreSQL refuses to run as root, so a root caller hands it to the user `postgres`, else `nobody`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use domain::secret::Secret;
use serde::Serialize;
use tokio::process::{Child, Command};

use super::files;
use account::Account;

mod account;
mod binaries;

pub use binaries::find_binaries;

const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// The name of the superuser of the clusters made here.
pub const SUPERUSER: &str = "postgres";
/// Unix allows no longer path for a socket.
const SOCKET_PATH_LIMIT: usize = 107;

/// How much a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Everything committed stays: the demo and the bench.
    Full,
    /// A crash of the machine may lose the cluster: tests.
    None,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's own directory; it is made on first use and kept.
    pub dir: PathBuf,
    /// `None`: any free port.
    pub port: Option<u16>,
    /// Where `initdb` and `postgres` are; `None`: see [`find_binaries`].
    pub bindir: Option<PathBuf>,
    pub durability: Durability,
    /// More settings, `name=value`.
    pub settings: Vec<String>,
}

/// A running server. It is stopped by [`Postgres::stop`]; dropping it stops it at once and without ceremony.
#[derive(Debug)]
pub struct Postgres {
    child: Option<Child>,
    cluster: Cluster,
    port: u16,
    password: Secret<String>,
}

/// What a script needs to know about a running server.
#[derive(Debug, Serialize)]
pub struct Ready {
    pub port: u16,
    pub pid: u32,
    pub superuser: &'static str,
    /// A file with the superuser's password.
    pub password_file: PathBuf,
    pub socket_dir: PathBuf,
    pub bindir: PathBuf,
}

#[derive(Clone, Debug)]
struct Cluster {
    data: PathBuf,
    sockets: PathBuf,
    password_file: PathBuf,
    bindir: PathBuf,
    account: Option<Account>,
}

impl Postgres {
    /// Starts the server of a directory, making its cluster first if there is none. It answers when this returns.
    pub async fn start(system: &crate::system::System, options: &Options) -> Result<Self> {
        let cluster = Cluster::of(options).await?;
        let password = cluster.password(system)?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.initialise().await?;
        }
        cluster.stop_leftover().await;
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let log = fs::File::create(cluster.log()).with_context(|| format!("cannot write {}", cluster.log().display()))?;
        let child =
            cluster.server(options, port).stdout(log.try_clone()?).stderr(log).spawn().context("cannot start postgres")?;
        let mut server = Self { child: Some(child), cluster, port, password };
        match tokio::time::timeout(START_LIMIT, server.answers()).await {
            Ok(result) => result?,
            Err(_) => bail!("PostgreSQL is not ready after {} s; see {}", START_LIMIT.as_secs(), server.cluster.log().display()),
        }
        Ok(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password.
    pub fn password(&self) -> &Secret<String> {
        &self.password
    }

    /// The URL of a database for the superuser, with the password.
    pub fn url(&self, database: &str) -> Secret<String> {
        Secret::new(format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password.expose(), self.port))
    }

    pub fn ready(&self) -> Ready {
        Ready {
            port: self.port,
            pid: self.child.as_ref().and_then(Child::id).unwrap_or_default(),
            superuser: SUPERUSER,
            password_file: self.cluster.password_file.clone(),
            socket_dir: self.cluster.sockets.clone(),
            bindir: self.cluster.bindir.clone(),
        }
    }

    /// Ends with an error when the server ends by itself.
    pub async fn ended(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let status = child.wait().await?;
        bail!("PostgreSQL ended ({status}); see {}", self.cluster.log().display())
    }

    /// Ends the server, its clients included ("fast shutdown"), and waits until it is gone.
    pub async fn stop(mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        self.cluster.shut_down("fast").status().await.context("cannot run pg_ctl")?;
        child.wait().await?;
        Ok(())
    }

    /// Waits until the server takes connections. The process id is compared too: the file may be a predecessor's.
    async fn answers(&mut self) -> Result<()> {
        loop {
            let Some(child) = &mut self.child else { bail!("PostgreSQL was stopped while it started") };
            if let Some(status) = child.try_wait()? {
                self.child = None;
                let log = fs::read_to_string(self.cluster.log()).unwrap_or_default();
                bail!("PostgreSQL did not start ({status}):\n{}", last_lines(&log, 5));
            }
            let pid = child.id().map(|pid| pid.to_string());
            let file = fs::read_to_string(self.cluster.data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = file.lines().map(str::trim);
            if lines.next().map(str::to_owned) == pid && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            let mut command = self.cluster.shut_down("immediate").into_std();
            if let Err(error) = command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
                tracing::warn!(%error, "PostgreSQL could not be stopped");
            }
        }
    }
}

impl Cluster {
    async fn of(options: &Options) -> Result<Self> {
        files::directory(&options.dir)?;
        let dir = fs::canonicalize(&options.dir)?;
        let account = Account::for_server().await?;
        let cluster = Self {
            data: dir.join("data"),
            sockets: dir.join("s"),
            password_file: dir.join("superuser.password"),
            bindir: match &options.bindir {
                Some(bindir) => bindir.clone(),
                None => find_binaries()?,
            },
            account,
        };
        if cluster.sockets.join(".s.PGSQL.65535").as_os_str().len() > SOCKET_PATH_LIMIT {
            bail!("{} is too long a path for a Unix socket", cluster.sockets.display());
        }
        fs::create_dir_all(&cluster.sockets)?;
        if let Some(account) = &cluster.account {
            account.check_reach(&dir).await?;
            account.own(&cluster.sockets)?;
        }
        Ok(cluster)
    }

    /// The superuser's password: made once, readable by the caller alone.
    fn password(&self, system: &crate::system::System) -> Result<Secret<String>> {
        if let Some(text) = files::read(&self.password_file)? {
            return Ok(Secret::new(text.trim().to_owned()));
        }
        let password = domain::audit::hex(&system.random::<24>()?);
        files::write_private(&self.password_file, password.as_bytes())?;
        Ok(Secret::new(password))
    }

    async fn initialise(&self) -> Result<()> {
        fs::create_dir_all(&self.data)?;
        // What lies there would change its owner, and go where initdb fails.
        if fs::read_dir(&self.data)?.next().is_some() {
            bail!("{} holds something that is no PostgreSQL cluster; name another directory", self.data.display());
        }
        // initdb reads the password as the user it runs as; that copy is gone right after.
        let copy = self.sockets.join("password");
        files::write_private(&copy, fs::read_to_string(&self.password_file)?.as_bytes())?;
        if let Some(account) = &self.account {
            account.own(&self.data)?;
            account.own(&copy)?;
        }
        let output = self
            .command("initdb")
            .arg("-D")
            .arg(&self.data)
            .args(["-U", SUPERUSER, "--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "-E", "UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions", "--pwfile"])
            .arg(&copy)
            .output()
            .await;
        fs::remove_file(&copy)?;
        let output = output.context("cannot run initdb")?;
        if !output.status.success() {
            fs::remove_dir_all(&self.data)?;
            bail!("initdb failed ({}):\n{}", output.status, last_lines(&String::from_utf8_lossy(&output.stderr), 5));
        }
        Ok(())
    }

    fn server(&self, options: &Options, port: u16) -> Command {
        let mut command = self.server_command();
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.sockets).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        let mut settings: Vec<&str> = vec!["shared_buffers=64MB", "max_connections=100", "unix_socket_permissions=0700"];
        if options.durability == Durability::None {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        }
        settings.extend(options.settings.iter().map(String::as_str));
        for setting in settings {
            command.args(["-c", setting]);
        }
        command
    }

    /// A server of a launcher that was killed still holds the directory: it is asked to go.
    async fn stop_leftover(&self) {
        if self.data.join("postmaster.pid").exists() {
            // It fails when the file is stale, which the new server finds out by itself.
            let _ = self.shut_down("fast").output().await;
        }
    }

    fn shut_down(&self, mode: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.arg("stop").arg("-D").arg(&self.data).args(["-m", mode, "-w", "-t", "20", "-s"]);
        command
    }

    /// `postgres`, to be interrupted when this process dies, where `setpriv` can arrange that.
    fn server_command(&self) -> Command {
        let program = self.bindir.join("postgres");
        let Some(setpriv) = binaries::in_path("setpriv").filter(|_| cfg!(target_os = "linux")) else {
            return self.command("postgres");
        };
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "INT"]);
        if let Some(account) = &self.account {
            account.drop_with_setpriv(&mut command);
        }
        command.arg("--").arg(program);
        clean(&mut command);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bindir.join(program));
        if let Some(account) = &self.account {
            account.drop_to(&mut command);
        }
        clean(&mut command);
        command
    }

    fn log(&self) -> PathBuf {
        self.data.with_file_name("server.log")
    }
}

/// Nothing of the caller's environment decides about the server.
fn clean(command: &mut Command) {
    command.current_dir("/").env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let start = lines.len().saturating_sub(count);
    lines.get(start..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests;

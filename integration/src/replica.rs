//! A real broker process.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::answer::Door;
use crate::ci::Ci;
use crate::ground::Settings;

/// How long anything that a test waits for may take, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A broker process. Dropped, it is killed.
#[derive(Debug)]
pub struct Replica {
    child: Child,
    output: Arc<Mutex<String>>,
    pub config: PathBuf,
    pub native: Door,
    pub operator: Door,
    pub metrics: Door,
}

/// Where the programs of this workspace are: beside this one, or beside the folder of a test.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this program stands in no folder")?;
    let beside = folder.join(name);
    if beside.exists() {
        return Ok(beside);
    }
    let path = folder.parent().context("the test stands in no folder")?.join(name);
    if !path.exists() {
        bail!("{} is not built: cargo build --workspace --features daypass-broker/failpoints", path.display());
    }
    Ok(path)
}

/// A client that believes our authority and nobody else.
pub fn client() -> Result<Client> {
    let authorities = reqwest::Certificate::from_pem_bundle(Ci::shared()?.ca.as_bytes())?;
    // Every request on a connection of its own: what a broker closes after a refusal must not be the next one's fault.
    let client = Client::builder().tls_certs_only(authorities).no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE);
    Ok(client.redirect(reqwest::redirect::Policy::none()).build()?)
}

impl Replica {
    pub fn spawn(config: &Path, settings: &Settings) -> Result<Self> {
        let mut command = Command::new(program("daypass-broker")?);
        command.args(["serve", "--run", settings.run, "--config"]).arg(config);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("DAYPASS_FAILPOINTS", &settings.failpoints);
        command.envs(settings.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().context("no output")?, &output);
        collect(child.stderr.take().context("no output")?, &output);
        let scheme = if settings.tls { "https" } else { "http" };
        let client = client()?;
        let door = |scheme: &str, port: u16| Door { base: format!("{scheme}://localhost:{port}"), client: client.clone() };
        Ok(Self {
            child,
            output,
            config: config.to_owned(),
            native: door(scheme, settings.native),
            operator: door(scheme, settings.operator),
            metrics: door("http", settings.metrics),
        })
    }

    /// Everything that it has written so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it is ready, and learns its addresses.
    pub async fn ready(&mut self) -> Result<()> {
        self.says("\"message\":\"ready\"").await?;
        let lines: Vec<Value> = self.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for (name, door) in [("native", &mut self.native), ("operator", &mut self.operator), ("metrics", &mut self.metrics)] {
            let line = lines.iter().find(|line| line.get("listener").and_then(Value::as_str) == Some(name));
            let address = line.and_then(|line| line.get("address")).and_then(Value::as_str);
            if let (Some(address), Some((scheme, _))) = (address, door.base.split_once("://")) {
                door.base = format!("{scheme}://{}", address.replace("127.0.0.1", "localhost"));
            }
        }
        Ok(())
    }

    /// Waits until `words` stand in its output.
    pub async fn says(&mut self, words: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.output().contains(words) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the broker ended ({status}) before it said {words:?}:\n{}", self.output());
            }
            if Instant::now() > until {
                bail!("the broker never said {words:?}:\n{}", self.output());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")?;
        Ok(kill_process(id, signal)?)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // What it wrote last is still on its way through the pipe.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("the broker does not end:\n{}", self.output());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

fn collect(from: impl Read + Send + 'static, to: &Arc<Mutex<String>>) {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut output = to.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
        }
    });
}

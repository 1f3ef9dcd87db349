//! The broker's configuration: one TOML file, every problem told at once, no secret inside it.
//!
//! Secrets stand in files that the configuration names; relative paths count from the configuration file's folder.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::{engines, service, store, telemetry};

/// What `daypass-broker serve` needs to know.
#[derive(Debug)]
pub struct Config {
    pub listen: Listen,
    pub database: store::Options,
    pub seal: Seal,
    pub policy: Policy,
    pub verify: Verify,
    pub limits: Limits,
    pub telemetry: telemetry::Config,
    pub engines: engines::Settings,
    pub connections: BTreeMap<String, Connection>,
}

/// `[listen]`: addresses and the certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// CI jobs ask here.
    pub native: SocketAddr,
    /// Operators ask here.
    pub operator: SocketAddr,
    /// Health and metrics, without TLS: keep it inside.
    pub metrics: SocketAddr,
    /// Left out, native and operator must be loopback addresses.
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// `"1.3"` unless told `"1.2"`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[default]
    #[serde(rename = "1.3")]
    V13,
}

/// `[seal]`: where the root key is. Exactly one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    pub file: Option<PathBuf>,
    /// The name of an environment variable that holds the key.
    pub environment: Option<String>,
}

/// `[policy]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    pub source: PolicySource,
    pub path: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicySource {
    #[default]
    Folder,
}

/// `[verify]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// How far clocks may be apart: `"30s"`, at most `"60s"`.
    #[serde(with = "seconds")]
    pub leeway: Duration,
}

impl Default for Verify {
    fn default() -> Self {
        Self { leeway: Duration::from_secs(30) }
    }
}

/// `[limits]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections of each listener.
    pub connections: usize,
    /// Requests being worked on; one more is answered 503 at once.
    pub in_flight: usize,
    /// How long open requests may go on after a stop.
    #[serde(with = "seconds")]
    pub drain: Duration,
    pub rate: service::limiter::Config,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, in_flight: 192, drain: Duration::from_secs(10), rate: service::limiter::Config::default() }
    }
}

/// `[connection.NAME]`: a target with its administrator.
#[derive(Clone, Debug, Deserialize)]
pub struct Connection {
    pub engine: String,
    /// Without a password.
    pub url: String,
    pub password_file: Option<PathBuf>,
    /// Roles that may use it, by name or glob.
    pub allowed_roles: Vec<String>,
    #[serde(default = "Connection::four")]
    pub concurrency: u32,
    /// What only the engine understands.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

impl Connection {
    const fn four() -> u32 {
        4
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct Problems {
    pub file: PathBuf,
    pub problems: Vec<String>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {} problem(s):", self.file.display(), self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

const SECTIONS: &[&str] = &["listen", "database", "seal", "policy", "verify", "limits", "telemetry", "engine", "connection"];

/// Reads and checks the file. What it returns can be started with, as far as can be known without starting.
pub fn load(file: &Path) -> Result<Config, Problems> {
    let fail = |problem: String| Problems { file: file.to_owned(), problems: vec![problem] };
    let text = std::fs::read_to_string(file).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let table: Table = toml::from_str(&text).map_err(|error| fail(error.to_string().trim_end().replace('\n', "\n    ")))?;
    let mut reader = Reader { table, problems: Vec::new() };
    reader.refuse_unknown();

    let listen: Option<Listen> = reader.section("listen");
    let database: Option<store::Options> = reader.section("database");
    let seal: Option<Seal> = reader.section("seal");
    let policy: Option<Policy> = reader.section("policy");
    let verify: Option<Verify> = reader.section_or_default("verify");
    let limits: Option<Limits> = reader.section_or_default("limits");
    let telemetry: Option<telemetry::Config> = reader.section_or_default("telemetry");
    let engines: Option<engines::Settings> = reader.section_or_default("engine");
    let connections = reader.connections();
    let mut problems = reader.problems;

    let base = file.parent().unwrap_or(Path::new(""));
    if let (
        Some(mut listen),
        Some(mut database),
        Some(mut seal),
        Some(mut policy),
        Some(verify),
        Some(limits),
        Some(telemetry),
        Some(engines),
    ) = (listen, database, seal, policy, verify, limits, telemetry, engines)
    {
        let mut connections = connections;
        let mut paths: Vec<&mut PathBuf> = vec![&mut policy.path];
        paths.extend(listen.tls.iter_mut().flat_map(|tls| [&mut tls.cert, &mut tls.key]));
        paths.extend(&mut database.password_file);
        paths.extend(&mut seal.file);
        paths.extend(connections.values_mut().filter_map(|connection| connection.password_file.as_mut()));
        for path in paths {
            *path = base.join(&*path);
            if !path.exists() {
                problems.push(format!("{} does not exist", path.display()));
            }
        }
        let config = Config { listen, database, seal, policy, verify, limits, telemetry, engines, connections };
        config.check(&mut problems);
        if problems.is_empty() {
            return Ok(config);
        }
    }
    Err(Problems { file: file.to_owned(), problems })
}

impl Config {
    fn check(&self, problems: &mut Vec<String>) {
        let Listen { native, operator, metrics, tls } = &self.listen;
        if tls.is_none() && !(native.ip().is_loopback() && operator.ip().is_loopback()) {
            problems.push(
                "[listen] tls is needed: without it native and operator must be loopback addresses such as 127.0.0.1:8443"
                    .to_owned(),
            );
        }
        let mut seen: Vec<&SocketAddr> = Vec::new();
        for address in [native, operator, metrics] {
            if address.port() != 0 && seen.contains(&address) {
                problems.push(format!("[listen] {address} stands twice; every listener needs its own address"));
            }
            seen.push(address);
        }
        match (&self.seal.file, &self.seal.environment) {
            (Some(_), None) | (None, Some(_)) => {}
            _ => problems.push("[seal] needs exactly one of file and environment".to_owned()),
        }
        if self.verify.leeway > Duration::from_mins(1) {
            problems.push("[verify] leeway is at most 60s".to_owned());
        }
        if self.database.max_connections < 2 {
            problems.push("[database] max_connections is at least 2".to_owned());
        }
        let sensible = 1..=1_000_000;
        if !sensible.contains(&self.limits.in_flight) || !sensible.contains(&self.limits.connections) {
            problems.push("[limits] in_flight and connections are between 1 and 1000000".to_owned());
        }
        password_in_url("[database]", &self.database.url, problems);
        for (name, connection) in &self.connections {
            let place = format!("[connection.{name}]");
            password_in_url(&place, &connection.url, problems);
            if domain::credentials::by_name(&connection.engine).is_none() {
                let known: Vec<_> = domain::credentials::ENGINES.iter().map(|engine| engine.name()).collect();
                problems.push(format!("{place} engine {:?} is not one of {}", connection.engine, known.join(", ")));
            }
            if !(1..=1_000).contains(&connection.concurrency) {
                problems.push(format!("{place} concurrency is between 1 and 1000"));
            }
        }
    }
}

fn password_in_url(place: &str, url: &str, problems: &mut Vec<String>) {
    match url::Url::parse(url) {
        Ok(url) if url.password().is_some() => {
            problems.push(format!("{place} url holds a password; put it in a file and name it as password_file"));
        }
        Ok(_) => {}
        Err(error) => problems.push(format!("{place} url cannot be read: {error}")),
    }
}

struct Reader {
    table: Table,
    problems: Vec<String>,
}

impl Reader {
    fn refuse_unknown(&mut self) {
        for name in self.table.keys().filter(|name| !SECTIONS.contains(&name.as_str())) {
            self.problems.push(format!("[{name}] is not a section; known are {}", SECTIONS.join(", ")));
        }
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        if let Some(value) = self.table.remove(name) {
            self.read(name, value)
        } else {
            self.problems.push(format!("[{name}] is missing"));
            None
        }
    }

    fn section_or_default<T: DeserializeOwned + Default>(&mut self, name: &str) -> Option<T> {
        match self.table.remove(name) {
            Some(value) => self.read(name, value),
            None => Some(T::default()),
        }
    }

    fn connections(&mut self) -> BTreeMap<String, Connection> {
        let sections = match self.table.remove("connection") {
            None => return BTreeMap::new(),
            Some(Value::Table(sections)) => sections,
            Some(_) => {
                self.problems.push("[connection] needs a name: write [connection.NAME]".to_owned());
                return BTreeMap::new();
            }
        };
        let read = sections
            .into_iter()
            .filter_map(|(name, value)| Some((name.clone(), self.read(&format!("connection.{name}"), value)?)));
        read.collect()
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, value: Value) -> Option<T> {
        match T::deserialize(value) {
            Ok(section) => Some(section),
            Err(error) => {
                self.problems.push(format!("[{name}] {}", error.to_string().trim_end().replace('\n', " ")));
                None
            }
        }
    }
}

/// Durations as `"30s"`, `"5m"`, `"1h"`.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, de};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        domain::policy::duration::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

//! The broker's configuration: one TOML file, every problem told at once, no secret inside it.
//!
//! Secrets stand in files that the configuration names; relative paths count from the configuration file's folder.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::secret::Secret;
use serde::Deserialize;

use crate::{engines, service, store, telemetry};

mod check;
mod draft;
mod hook;

pub use draft::Draft;
pub use hook::Hook;

/// What `daypass-broker serve` needs to know.
#[derive(Debug)]
pub struct Config {
    pub listen: Listen,
    pub database: store::Options,
    pub seal: Seal,
    pub policy: Policy,
    pub verify: Verify,
    pub limits: Limits,
    pub reconcile: Reconcile,
    pub telemetry: telemetry::Config,
    pub engines: engines::Settings,
    pub connections: BTreeMap<String, Connection>,
    pub hooks: BTreeMap<String, Hook>,
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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    pub source: PolicySource,
    /// The folder; where the database is the source, the one that a first start takes its set from.
    pub path: Option<PathBuf>,
    /// When a pushed set waits for a second operator.
    pub approval: Option<service::policies::Approval>,
    /// What paths inside the set count from: the folder, or that of the configuration.
    #[serde(skip)]
    pub base: PathBuf,
}

impl Policy {
    /// The folder to watch, where it is the source.
    pub fn watched(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.source == PolicySource::Folder)
    }

    pub fn place(&self) -> service::policies::Place {
        service::policies::Place { folder: self.watched().map(Path::to_owned), base: self.base.clone() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicySource {
    /// Watched.
    #[default]
    Folder,
    /// Pushed by operators.
    Database,
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
    /// Of those, from one address. Behind a proxy that all clients come through, as many as `connections`.
    pub connections_per_address: usize,
    /// Requests being worked on; one more is answered 503 at once.
    pub in_flight: usize,
    /// How long open requests may go on after a stop.
    #[serde(with = "seconds")]
    pub drain: Duration,
    pub rate: service::limiter::Config,
    /// Live leases of one session.
    pub leases_per_session: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 64,
            in_flight: 192,
            drain: Duration::from_secs(10),
            rate: service::limiter::Config::default(),
            leases_per_session: 100,
        }
    }
}

/// `[reconcile]`: comparing leases with what the targets have.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconcile {
    /// How often each target is compared.
    #[serde(with = "seconds")]
    pub every: Duration,
    /// How long a login without a lease is shut before it is dropped.
    #[serde(with = "seconds")]
    pub grace: Duration,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self { every: Duration::from_mins(10), grace: Duration::from_hours(1) }
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
    /// Live leases on it.
    #[serde(default = "store::Connection::most_leases")]
    pub max_leases: u32,
    /// What only the engine understands.
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

impl Connection {
    const fn four() -> u32 {
        4
    }

    /// The connection as engines see it.
    pub fn target(&self, name: &str, password: Option<Secret<String>>) -> store::Connection {
        store::Connection {
            name: name.to_owned(),
            engine: self.engine.clone(),
            version: 0,
            url: self.url.clone(),
            password,
            settings: self.settings.clone(),
            allowed_roles: self.allowed_roles.clone(),
            concurrency: self.concurrency,
            max_leases: self.max_leases,
        }
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

/// Reads and checks the file. What it returns can be started with, as far as can be known without starting.
pub fn load(file: &Path) -> Result<Config, Problems> {
    Draft::read(file).finish()
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

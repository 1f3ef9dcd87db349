//! What is wrong with sections that could be read, and paths that count from the file's folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::policy::Glob;
use serde_json::Value;

use super::{Connection, Draft, Limits, Listen, Policy, PolicySource, Seal};
use crate::engines::engine::EngineError;
use crate::engines::{self, Engines};
use crate::{store, telemetry};

impl Draft {
    /// Settles paths, and adds everything that is wrong to the problems.
    pub(super) fn check(&mut self, base: &Path) {
        let problems = &mut self.problems;
        let settle = |of: &str, path: &mut PathBuf, problems: &mut Vec<String>| {
            *path = base.join(&*path);
            if !path.exists() {
                problems.push(format!("{of}: {} does not exist", path.display()));
            }
        };
        if let Some(listen) = &mut self.listen {
            listen.iter_paths().for_each(|path| settle("[listen] tls", path, problems));
            listen.check(problems);
        }
        if let Some(database) = &mut self.database {
            database.password_file.iter_mut().for_each(|path| settle("[database] password_file", path, problems));
            check_database(database, problems);
        }
        if let Some(seal) = &mut self.seal {
            seal.file.iter_mut().for_each(|path| settle("[seal] file", path, problems));
            seal.check(problems);
        }
        if let Some(policy) = &mut self.policy {
            policy.path.iter_mut().for_each(|path| settle("[policy] path", path, problems));
            policy.base = policy.path.as_deref().unwrap_or(base).to_owned();
            policy.check(problems);
        }
        if self.verify.as_ref().is_some_and(|verify| verify.leeway > Duration::from_mins(1)) {
            problems.push("[verify] leeway is at most 60s".to_owned());
        }
        if let Some(limits) = &self.limits {
            limits.check(problems);
        }
        if self.reconcile.is_some_and(|reconcile| reconcile.every < Duration::from_secs(1)) {
            problems.push("[reconcile] every is at least 1s".to_owned());
        }
        if let Some(Err(error)) = self.telemetry.as_ref().map(telemetry::Config::check) {
            problems.push(error.to_string());
        }
        // With settings that are wrong, connections are still checked by what does not depend on them.
        let mut known = engines::all(&engines::Settings::default()).unwrap_or_default();
        if let Some(settings) = &self.engines {
            match engines::all(settings) {
                Ok(engines) => known = engines,
                Err(error) => problems.push(words(&error)),
            }
        }
        for (name, hook) in &mut self.hooks {
            hook.files_mut().for_each(|path| settle(&format!("[hook.{name}]"), path, problems));
        }
        for (name, connection) in &mut self.connections {
            let of = |setting: &str| format!("[connection.{name}] {setting}");
            connection.password_file.iter_mut().for_each(|path| settle(&of("password_file"), path, problems));
            if let Some(Value::String(ca_file)) = connection.settings.get_mut("ca_file") {
                let mut path = PathBuf::from(&*ca_file);
                settle(&of("ca_file"), &mut path, problems);
                *ca_file = path.to_string_lossy().into_owned();
            }
            connection.check(name, &known, problems);
        }
    }
}

impl Listen {
    fn iter_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.tls.iter_mut().flat_map(|tls| [&mut tls.cert, &mut tls.key])
    }

    fn check(&self, problems: &mut Vec<String>) {
        let Self { native, operator, metrics, tls } = self;
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
    }
}

impl Policy {
    fn check(&self, problems: &mut Vec<String>) {
        if self.source == PolicySource::Folder {
            if self.path.is_none() {
                problems.push("[policy] needs path: the folder of the policy set".to_owned());
            }
            if self.approval.is_some() {
                problems
                    .push("[policy] approval is for source = \"database\"; a folder is approved where it is reviewed".to_owned());
            }
        }
    }
}

impl Seal {
    fn check(&self, problems: &mut Vec<String>) {
        match (&self.file, &self.environment) {
            (Some(_), None) | (None, Some(_)) => {}
            _ => problems.push("[seal] needs exactly one of file and environment".to_owned()),
        }
    }
}

impl Limits {
    fn check(&self, problems: &mut Vec<String>) {
        if !(1..=100_000).contains(&self.leases_per_session) {
            problems.push("[limits] leases_per_session is between 1 and 100000".to_owned());
        }
        let counts = [self.in_flight, self.connections, self.connections_per_address];
        if counts.iter().any(|count| !(1..=1_000_000).contains(count)) {
            problems.push("[limits] in_flight, connections and connections_per_address are between 1 and 1000000".to_owned());
        }
    }
}

impl Connection {
    fn check(&self, name: &str, engines: &Engines, problems: &mut Vec<String>) {
        let place = format!("[connection.{name}]");
        for pattern in &self.allowed_roles {
            if let Err(what) = Glob::new(pattern) {
                problems.push(format!("{place} allowed_roles: {pattern:?} is no name or glob: {what}"));
            }
        }
        if !(1..=10_000_000).contains(&self.max_leases) {
            problems.push(format!("{place} max_leases is between 1 and 10000000"));
        }
        if !(1..=1_000).contains(&self.concurrency) {
            problems.push(format!("{place} concurrency is between 1 and 1000"));
        }
        if domain::credentials::by_name(&self.engine).is_none() {
            let known: Vec<_> = domain::credentials::ENGINES.iter().map(|engine| engine.name()).collect();
            problems.push(format!("{place} engine {:?} is not one of {}", self.engine, known.join(", ")));
        } else if let Err(error) = engines.check(&self.target(name, None)) {
            problems.push(words(&error));
        }
    }
}

fn check_database(database: &store::Options, problems: &mut Vec<String>) {
    if database.max_connections < 2 {
        problems.push("[database] max_connections is at least 2".to_owned());
    }
    if let Err(what) = store::addresses(&database.url) {
        problems.push(format!("[database] {what}"));
    }
}

/// What an engine says of a configuration, without telling that it is one.
fn words(error: &EngineError) -> String {
    match error {
        EngineError::Misconfigured(what) => what.clone(),
        other => other.to_string(),
    }
}

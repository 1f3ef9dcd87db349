//! Reading the file section by section, so that one that is wrong hides nothing of the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Config, Connection, Hook, Limits, Listen, Policy, Problems, Reconcile, Seal, Verify};
use crate::{engines, store, telemetry};

const SECTIONS: &[&str] =
    &["listen", "database", "seal", "policy", "verify", "limits", "reconcile", "telemetry", "engine", "connection", "hook"];

/// As much of a configuration as could be read, and everything that is wrong with it.
#[derive(Debug, Default)]
pub struct Draft {
    pub file: PathBuf,
    pub listen: Option<Listen>,
    pub database: Option<store::Options>,
    pub seal: Option<Seal>,
    pub policy: Option<Policy>,
    pub verify: Option<Verify>,
    pub limits: Option<Limits>,
    pub reconcile: Option<Reconcile>,
    pub telemetry: Option<telemetry::Config>,
    pub engines: Option<engines::Settings>,
    pub connections: BTreeMap<String, Connection>,
    pub hooks: BTreeMap<String, Hook>,
    pub problems: Vec<String>,
}

impl Draft {
    pub fn read(file: &Path) -> Self {
        let fail = |problem: String| Self { file: file.to_owned(), problems: vec![problem], ..Self::default() };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return fail(format!("cannot be read: {error}")),
        };
        let table: Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(error) => return fail(error.to_string().trim_end().replace('\n', "\n    ")),
        };
        let mut reader = Reader { table, problems: Vec::new() };
        reader.refuse_unknown();
        let mut draft = Self {
            file: file.to_owned(),
            listen: reader.section("listen"),
            database: reader.section("database"),
            seal: reader.section("seal"),
            policy: reader.section("policy"),
            verify: reader.section_or_default("verify"),
            limits: reader.section_or_default("limits"),
            reconcile: reader.section_or_default("reconcile"),
            telemetry: reader.section_or_default("telemetry"),
            engines: reader.section_or_default("engine"),
            connections: reader.named("connection"),
            hooks: reader.named("hook"),
            problems: reader.problems,
        };
        draft.check(file.parent().unwrap_or(Path::new("")));
        draft
    }

    /// The whole configuration, if nothing is wrong with it.
    pub fn finish(self) -> Result<Config, Problems> {
        match self {
            Self {
                listen: Some(listen),
                database: Some(database),
                seal: Some(seal),
                policy: Some(policy),
                verify: Some(verify),
                limits: Some(limits),
                reconcile: Some(reconcile),
                telemetry: Some(telemetry),
                engines: Some(engines),
                connections,
                hooks,
                problems,
                ..
            } if problems.is_empty() => {
                Ok(Config { listen, database, seal, policy, verify, limits, reconcile, telemetry, engines, connections, hooks })
            }
            Self { file, problems, .. } => Err(Problems { file, problems }),
        }
    }
}

#[derive(Debug, Default)]
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

    /// The sections `[kind.NAME]`.
    fn named<T: DeserializeOwned>(&mut self, kind: &str) -> BTreeMap<String, T> {
        let sections = match self.table.remove(kind) {
            None => return BTreeMap::new(),
            Some(Value::Table(sections)) => sections,
            Some(_) => {
                self.problems.push(format!("[{kind}] needs a name: write [{kind}.NAME]"));
                return BTreeMap::new();
            }
        };
        let read =
            sections.into_iter().filter_map(|(name, value)| Some((name.clone(), self.read(&format!("{kind}.{name}"), value)?)));
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

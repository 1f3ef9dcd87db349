//! Targets with their admin credential, as engines see them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::secret::Secret;
use serde_json::{Map, Value};

/// A target system and the credential that Daypass administers it with.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: String,
    pub engine: String,
    /// Counts changes, so that an engine can tell when to connect anew.
    pub version: i64,
    /// Where it is, with the administrator's name and without a password.
    pub url: String,
    pub password: Option<Secret<String>>,
    /// The engine's own settings, such as its statement sets.
    pub settings: Map<String, Value>,
    /// Roles that may use it, by name or glob; empty means none.
    pub allowed_roles: Vec<String>,
    /// How many operations may run against it at the same time.
    pub concurrency: u32,
}

/// Every connection by name, as of the last load.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<ArcSwap<HashMap<String, Arc<Connection>>>>);

impl Connections {
    pub fn get(&self, name: &str) -> Option<Arc<Connection>> {
        self.0.load().get(name).cloned()
    }

    /// Puts a whole new list in place.
    pub fn replace(&self, connections: Vec<Connection>) {
        self.0
            .store(Arc::new(connections.into_iter().map(|connection| (connection.name.clone(), Arc::new(connection))).collect()));
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.load().keys().cloned().collect();
        names.sort();
        names
    }
}

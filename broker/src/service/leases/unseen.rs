//! Targets that this process has not looked at since it started.
//!
//! A database that was brought back from a backup calls leases over that are not. The targets know better, so what they have is
//! looked at before anything is taken back from them (`service/reconcile`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Leases;

/// Connections, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Unseen(Arc<Mutex<BTreeSet<String>>>);

impl Unseen {
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases {
    /// Takes nothing back from these connections before they were seen.
    pub fn wait_to_see(&self, connections: &[String]) {
        self.unseen.names().extend(connections.iter().cloned());
    }

    /// From now on leases of this connection are taken back.
    pub fn seen(&self, connection: &str) {
        if self.unseen.names().remove(connection) {
            self.wake();
        }
    }

    /// The connections that were not seen yet.
    pub fn unseen(&self) -> Vec<String> {
        self.unseen.names().iter().cloned().collect()
    }
}

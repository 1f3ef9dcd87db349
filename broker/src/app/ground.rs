//! What a start and a reload read beside the configuration: all of it is read before any of it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use domain::audit::Kind;
use domain::policy::PolicySet;

use super::{hooks, plain, tools};
use crate::audit::log;
use crate::config::{self, Config};
use crate::engines::{self, Engines};
use crate::oidc::keys::Source;
use crate::service::hooks::Secrets;
use crate::service::policies::{self, Policies, doubts};
use crate::store::{Connection, Store};

/// What stands beside a policy set.
#[derive(Debug)]
pub(super) struct Ground {
    /// The folder's set; where operators push sets, the database has it.
    pub(super) set: Option<PolicySet>,
    pub(super) connections: Vec<Connection>,
    pub(super) hooks: Secrets,
}

impl Ground {
    /// Reads it all.
    pub(super) fn read(config: &Config) -> Result<Self> {
        let set = config.policy.watched().map(policies::load_folder).transpose().map_err(|error| tools::unsound(&error))?;
        let connections: Result<_> = config
            .connections
            .iter()
            .map(|(name, connection)| {
                let password = connection.password_file.as_deref().map(tools::secret_file).transpose()?;
                Ok(connection.target(name, password))
            })
            .collect();
        Ok(Self { set, connections: connections?, hooks: hooks::read(&config.hooks)? })
    }
}

/// The set that decides from the start.
pub(super) async fn policies(store: &Store, config: &Config, set: Option<PolicySet>) -> Result<Policies> {
    let policy = &config.policy;
    let policies = match (set, policy.watched()) {
        (Some(set), Some(folder)) => Policies::begin(store.clone(), set, &folder.display().to_string()).await,
        _ => policies::opened(store, policy.path.as_deref())
            .await
            .map(|set| Policies::of_database(store.clone(), set, policy.approval.unwrap_or_default())),
    };
    policies.map_err(plain)
}

/// Where the keys of the set's issuers are. What is wrong for some roles, issuers or hooks only is logged and keeps the others
/// from nothing.
pub(super) async fn sources(config: &Config, set: &PolicySet) -> Result<Vec<Source>> {
    let sources = doubts::sources(set, &config.policy.base)?;
    let mut doubts = uses(set, &config.connections, &engines::all(&config.engines)?);
    doubts.extend(doubts::files(&sources).await);
    for doubt in doubts {
        tracing::warn!(doubt, "exchanges of a role or an issuer will fail");
    }
    for hook in hooks::idle(set, &config.hooks) {
        tracing::warn!(hook, "deliveries will be turned away");
    }
    Ok(sources)
}

/// What roles ask of connections and would not get.
pub(super) fn uses(set: &PolicySet, connections: &BTreeMap<String, config::Connection>, engines: &Engines) -> Vec<String> {
    doubts::uses(set, engines, |name| connections.get(name).map(|connection| Arc::new(connection.target(name, None))))
}

/// Stores what the configuration says of connections, and puts all that are stored in place.
pub(super) async fn adopt(store: &Store, connections: &[Connection]) -> Result<()> {
    let system = store.system();
    let mut tx = store.begin().await?;
    for connection in connections {
        if let Some(version) = tx.configure_connection(connection, system.now()).await? {
            let record =
                log::own(system, Kind::ConnectionWritten)?.field("object", connection.name.as_str()).field("version", version);
            tx.remember(&[record]).await?;
        }
    }
    tx.commit().await?;
    store.connections().configured(connections.iter().map(|connection| connection.name.clone()));
    store.load_connections().await?;
    Ok(())
}

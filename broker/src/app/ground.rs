//! What a start and a reload read beside the configuration: all of it is read before any of it counts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use domain::audit::Kind;
use domain::credentials::engine::Reach;
use domain::policy::PolicySet;

use super::{hooks, tools};
use crate::audit::log;
use crate::config::{self, Config};
use crate::crypto::jws::KeySet;
use crate::engines::engine::EngineError;
use crate::engines::{self, Engines};
use crate::oidc::keys::{Place, Source};
use crate::oidc::trust;
use crate::service::hooks::Secrets;
use crate::service::policies;
use crate::store::{Connection, Store};

/// A policy set with what belongs to it.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) set: PolicySet,
    pub(super) sources: Vec<Source>,
    pub(super) connections: Vec<Connection>,
    pub(super) hooks: Secrets,
}

impl Ground {
    /// Reads it all. What is wrong for some roles or issuers only is logged and keeps the others from nothing.
    pub(super) async fn read(config: &Config) -> Result<Self> {
        let folder = &config.policy.path;
        let set = policies::load_folder(folder).map_err(|error| tools::unsound(&error))?;
        let sources = sources(&set, folder)?;
        let connections: Result<_> = config
            .connections
            .iter()
            .map(|(name, connection)| {
                let password = connection.password_file.as_deref().map(tools::secret_file).transpose()?;
                Ok(connection.target(name, password))
            })
            .collect();
        let mut doubts = uses(&set, &config.connections, &engines::all(&config.engines)?);
        doubts.extend(files(&sources).await);
        let secrets = hooks::read(&config.hooks)?;
        let idle = hooks::idle(&set, &config.hooks);
        for doubt in doubts {
            tracing::warn!(doubt, "exchanges of a role or an issuer will fail");
        }
        for hook in idle {
            tracing::warn!(hook, "deliveries will be turned away");
        }
        Ok(Self { set, sources, connections: connections?, hooks: secrets })
    }
}

/// What the keys of each issuer are fetched from. Files named by the set count from its folder.
pub(super) fn sources(set: &PolicySet, folder: &Path) -> Result<Vec<Source>> {
    let mut sources = trust::sources(set)?;
    for source in &mut sources {
        if let Place::File(file) = &mut source.place {
            *file = folder.join(&*file);
        }
        if let Some(file) = &mut source.destination.ca_file {
            *file = folder.join(&*file);
        }
    }
    Ok(sources)
}

/// What roles ask of connections and would not get.
pub(super) fn uses(set: &PolicySet, connections: &BTreeMap<String, config::Connection>, engines: &Engines) -> Vec<String> {
    let mut wrong = Vec::new();
    for role in set.roles() {
        for credential in &role.credentials {
            let Reach::Connection(name) = credential.engine.reach(&credential.params) else { continue };
            let place = format!("role `{}`, credential `{}`", role.name, credential.name);
            let Some(connection) = connections.get(name) else {
                wrong.push(format!("{place}: the configuration has no [connection.{name}]"));
                continue;
            };
            let target = connection.target(name, None);
            // What is wrong with the connection itself is told once, as a problem of the configuration.
            let used = engines
                .check(&target)
                .is_ok()
                .then(|| engines.check_use(credential.engine.name(), &target, &role.name, &credential.params));
            match used {
                Some(Err(EngineError::Misconfigured(what))) => wrong.push(format!("{place}: {what}")),
                Some(Err(error)) => wrong.push(format!("{place}: {error}")),
                Some(Ok(())) | None => {}
            }
        }
    }
    wrong
}

/// What is wrong with the files that issuers name.
pub(super) async fn files(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        if let Err(error) = source.destination.check().await {
            wrong.push(format!("issuer {}: {error}", source.issuer));
        }
        if let Place::File(path) = &source.place {
            let admitted = std::fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|document| KeySet::admit(&document, &source.algorithms).map_err(|error| error.to_string()));
            if let Err(what) = admitted {
                wrong.push(format!("issuer {}: the key file {}: {what}", source.issuer, path.display()));
            }
        }
    }
    wrong
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

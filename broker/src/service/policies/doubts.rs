//! What surrounds a set: where its issuers' keys are, and what some of its roles or issuers will not get.

use std::path::Path;
use std::sync::Arc;

use domain::credentials::engine::Reach;
use domain::policy::PolicySet;

use crate::crypto::jws::KeySet;
use crate::engines::Engines;
use crate::engines::engine::EngineError;
use crate::oidc::keys::{Place, Source};
use crate::oidc::trust;
use crate::store::Connection;

/// What the keys of each issuer are fetched from. Files named by the set count from its folder.
pub fn sources(set: &PolicySet, folder: &Path) -> Result<Vec<Source>, url::ParseError> {
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
pub fn uses(set: &PolicySet, engines: &Engines, connection: impl Fn(&str) -> Option<Arc<Connection>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for role in set.roles() {
        for credential in &role.credentials {
            let Reach::Connection(name) = credential.engine.reach(&credential.params) else { continue };
            let place = format!("role `{}`, credential `{}`", role.name, credential.name);
            let Some(target) = connection(name) else {
                wrong.push(format!("{place}: the configuration has no [connection.{name}]"));
                continue;
            };
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

/// Connections that no role uses: their admin credentials are kept for nothing.
pub fn idle<'a>(set: &PolicySet, connections: impl Iterator<Item = &'a String>) -> Vec<String> {
    let used = set.connections();
    let idle = connections.filter(|name| !used.contains_key(name.as_str()));
    idle.map(|name| format!("note: no role uses [connection.{name}]")).collect()
}

/// What is wrong with the files that issuers name.
pub async fn files(sources: &[Source]) -> Vec<String> {
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

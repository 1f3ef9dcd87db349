//! What signals ask for: to stop, or to read again what may have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::ground::{self, Ground};
use super::plain;
use crate::config::{self, PolicySource};
use crate::http::tls::Certificate;
use crate::oidc::keys::KeyCache;
use crate::service::policies::Keeper;
use crate::service::rooms::Rooms;
use crate::workers::worker::caught;

/// Cancels `stop` on SIGTERM or SIGINT.
pub(super) async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be watched; the process ends only when killed");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    stop.cancel();
}

/// What asks to read again: SIGHUP. Watched from the first moment of a process, because its default ends the process.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// On SIGHUP the policy folder, the connections, the secrets of webhooks and the certificate are read again; the certificate also every minute, so
/// that a renewal by a tool that sends no signal is seen. What cannot be used never replaces what is in use.
pub(super) async fn reload_on_signal(
    mut hangup: Signal,
    file: PathBuf,
    rooms: Arc<Rooms>,
    keys: Arc<KeyCache>,
    keeper: Keeper,
    certificate: Option<Arc<Certificate>>,
) {
    loop {
        let asked = tokio::select! {
            signal = hangup.recv() => signal.is_some(),
            () = tokio::time::sleep(Duration::from_mins(1)) => false,
        };
        let reloading = async {
            if let Some(certificate) = &certificate
                && let Err(error) = certificate.reload()
            {
                tracing::error!(%error, "the certificate cannot be used; the one before goes on serving");
            }
            if asked {
                tell(reload(&file, &rooms, &keys, &keeper).await);
            }
        };
        caught("reload", &rooms.metrics, reloading).await;
    }
}

/// Reads everything before it changes anything: half of a new configuration is worse than the whole old one.
async fn reload(file: &Path, rooms: &Rooms, keys: &KeyCache, keeper: &Keeper) -> Result<bool> {
    let config = config::load(file)?;
    if (config.policy.source == PolicySource::Database) != rooms.policies.pushed().is_some() {
        bail!("[policy] source has changed: restart the broker for it");
    }
    let Ground { set, connections, hooks } = Ground::read(&config)?;
    // Files beside the set may have changed though the set has not.
    let sources = ground::sources(&config, set.as_ref().unwrap_or(&rooms.policies.active())).await?;
    ground::adopt(&rooms.store, &connections).await?;
    keeper.move_to(config.policy.place());
    let changed = match (set, config.policy.watched()) {
        (Some(set), Some(folder)) => keeper.take_folder(set, folder).await.map_err(plain)?,
        _ => false,
    };
    keys.configure(sources);
    rooms.hooks.replace(hooks);
    Ok(changed)
}

fn tell(reloaded: Result<bool>) {
    match reloaded {
        Ok(true) => tracing::info!("a new policy set is active"),
        Ok(false) => tracing::info!("the policy set has not changed"),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the configuration or its policy set cannot be used; the one before stays active"
            );
        }
    }
}

//! What signals ask for: to stop, or to read again what may have changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{adopt_connections, connections, load_policies, plain, sources};
use crate::config;
use crate::http::tls::Certificate;
use crate::oidc::keys::KeyCache;
use crate::service::rooms::Rooms;

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

/// On SIGHUP the policy folder, the connections and the certificate are read again; the certificate also every minute, so
/// that a renewal by a tool that sends no signal is seen. What cannot be used never replaces what is in use.
pub(super) async fn reload_on_signal(
    file: PathBuf,
    rooms: Arc<Rooms>,
    keys: Arc<KeyCache>,
    certificate: Option<Arc<Certificate>>,
) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    loop {
        let asked = tokio::select! {
            signal = hangup.recv() => signal.is_some(),
            () = tokio::time::sleep(Duration::from_mins(1)) => false,
        };
        if let Some(certificate) = &certificate
            && let Err(error) = certificate.reload()
        {
            tracing::error!(%error, "the certificate cannot be used; the one before goes on serving");
        }
        if !asked {
            continue;
        }
        let reloaded = async {
            let config = config::load(&file)?;
            adopt_connections(&rooms.store, &connections(&config)?).await?;
            let folder = config.policy.path;
            let set = load_policies(&folder)?;
            let sources = sources(&set, &folder)?;
            let changed = rooms.policies.activate(set, &folder.display().to_string()).await.map_err(plain)?;
            keys.configure(sources);
            anyhow::Ok(changed)
        };
        match reloaded.await {
            Ok(true) => tracing::info!("a new policy set is active"),
            Ok(false) => tracing::info!("the policy set has not changed"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the policy set cannot be used; the one before stays active");
            }
        }
    }
}

//! The server certificate, read again when it changes, so that a renewal needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot serve. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("the certificate {} and the key {} do not serve together: {reason}", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, reason: String },
}

/// A certificate chain and its key, from files.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    tls12: bool,
    config: ArcSwap<ServerConfig>,
}

impl Certificate {
    pub fn load(cert: &Path, key: &Path, tls12: bool) -> Result<Self, TlsError> {
        let config = read(cert, key, tls12)?;
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), tls12, config: ArcSwap::from_pointee(config) })
    }

    /// What new connections are served with.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again. A certificate that cannot serve never replaces one that does.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.cert, &self.key, self.tls12)?;
        self.config.store(Arc::new(config));
        Ok(())
    }
}

fn read(cert: &Path, key: &Path, tls12: bool) -> Result<ServerConfig, TlsError> {
    let file = |path: &Path, reason: &dyn std::fmt::Display| TlsError::File { path: path.to_owned(), reason: reason.to_string() };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|error| file(cert, &error))?;
    if chain.is_empty() {
        return Err(file(cert, &"holds no PEM certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, &error))?;
    let pair = |reason: rustls::Error| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), reason: reason.to_string() };
    let versions: &[&rustls::SupportedProtocolVersion] = if tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    // A CI job never comes back with a ticket; making them costs a tenth of a handshake.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

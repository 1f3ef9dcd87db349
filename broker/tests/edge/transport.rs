//! TLS: versions, deadlines, and certificates that change while the listener serves.

use std::path::Path;
use std::sync::Arc;

use broker::http::tls::Certificate;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::house::*;

/// Writes a fresh self-signed certificate and answers it.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["broker.test".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn load(folder: &Path, tls12: bool) -> Arc<Certificate> {
    broker::app::install_providers();
    Arc::new(Certificate::load(&folder.join("tls.pem"), &folder.join("tls.key"), tls12).unwrap())
}

async fn dial(
    house: &House,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("broker.test").unwrap();
    let dialing = TlsConnector::from(Arc::new(config)).connect(name, house.connect().await);
    tokio::time::timeout(PATIENCE, dialing).await.unwrap()
}

async fn hello(mut stream: TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    to_the_end(&mut stream).await
}

#[tokio::test]
async fn speaks_tls_13_alone_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let strict = House::start(SHORT, 16, Some(load(folder.path(), false))).await;
    assert!(dial(&strict, &trusted, &[&TLS12], &[]).await.is_err());
    assert!(hello(dial(&strict, &trusted, &[&TLS13], &[]).await.unwrap()).await.contains(" 200 "));
    assert!(dial(&strict, &trusted, &[&TLS13], &["h2"]).await.is_err(), "HTTP/2 is not offered");
    assert!(!strict.get("/hello").await.contains(" 200 "), "nor anything in clear");
    let lenient = House::start(SHORT, 16, Some(load(folder.path(), true))).await;
    assert!(hello(dial(&lenient, &trusted, &[&TLS12], &[]).await.unwrap()).await.contains(" 200 "));
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let house = House::start(SHORT, 16, Some(load(folder.path(), false))).await;
    // Nothing at all, and a record that promises 512 bytes and brings six.
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = house.connect().await;
        stream.write_all(bytes).await.unwrap();
        to_the_end(&mut stream).await;
    }
    // The slow shapes hold for what comes after the handshake too.
    for bytes in [&b""[..], b"GET /he", b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"] {
        let mut stream = dial(&house, &trusted, &[&TLS13], &["http/1.1"]).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        to_the_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_serves_without_a_restart_and_a_broken_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let first = certify(folder.path());
    let certificate = load(folder.path(), false);
    let house = House::start(SHORT, 16, Some(certificate.clone())).await;
    let open = dial(&house, &first, &[&TLS13], &[]).await.unwrap();
    let second = certify(folder.path());
    certificate.reload().unwrap();
    assert!(hello(open).await.contains(" 200 "), "open connections go on");
    assert!(dial(&house, &first, &[&TLS13], &[]).await.is_err());
    assert!(hello(dial(&house, &second, &[&TLS13], &[]).await.unwrap()).await.contains(" 200 "));
    std::fs::write(folder.path().join("tls.key"), "broken").unwrap();
    assert!(certificate.reload().is_err());
    assert!(hello(dial(&house, &second, &[&TLS13], &[]).await.unwrap()).await.contains(" 200 "));
}

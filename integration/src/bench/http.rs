//! The load generator's client: HTTP/1.1 over plain TCP or TLS, no more than measuring needs, so that it costs little on the
//! cores it shares with what is measured.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longer answers are a mistake of the bench.
const ANSWER_LIMIT: usize = 256 * 1024;

/// Whom to ask.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

impl Target {
    pub const fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// TLS 1.3 with the certificates of `ca_file` trusted, and no session kept: every connection is a full handshake.
    pub fn tls(address: SocketAddr, ca_file: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca_file).context("the authority's certificate cannot be read")? {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { address, tls: Some(TlsConnector::from(Arc::new(config))) })
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// One connection, used for one request after another.
pub struct Connection {
    wire: Box<dyn Wire>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub async fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let wire: Box<dyn Wire> = match &target.tls {
            None => Box::new(stream),
            Some(connector) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                Box::new(connector.connect(name, stream).await?)
            }
        };
        Ok(Self { wire, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and reads the whole answer; returns its status.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.wire.write_all(request).await?;
        self.wire.flush().await?;
        self.buffer.clear();
        loop {
            if let Some(status) = whole(&self.buffer)? {
                return Ok(status);
            }
            if self.buffer.len() > ANSWER_LIMIT {
                return Err(io::Error::new(ErrorKind::InvalidData, "the answer is too long"));
            }
            if self.wire.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The body of the last answer, if it came with its length.
    pub fn body(&self) -> &[u8] {
        end_of_head(&self.buffer).and_then(|at| self.buffer.get(at..)).unwrap_or_default()
    }
}

/// A request with a JSON body, as bytes to send. `close` asks the server to close the connection after its answer.
pub fn post(path: &str, body: &str, close: bool) -> Box<[u8]> {
    let close = if close { "connection: close\r\n" } else { "" };
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{close}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
    .into_boxed_slice()
}

/// The status, once `bytes` holds a whole answer.
fn whole(bytes: &[u8]) -> io::Result<Option<u16>> {
    let Some(body) = end_of_head(bytes) else { return Ok(None) };
    let invalid = || io::Error::new(ErrorKind::InvalidData, "not an HTTP answer");
    let head = bytes.get(..body).and_then(|head| std::str::from_utf8(head).ok()).ok_or_else(invalid)?;
    let status: u16 = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().map_err(|_| invalid())?;
            return Ok((bytes.len() - body >= length).then_some(status));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(bytes.ends_with(b"0\r\n\r\n").then_some(status));
        }
    }
    Ok(Some(status))
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_an_answer_is_whole() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(whole(answer).unwrap(), Some(503));
        for short in [&answer[..10], &answer[..answer.len() - 1]] {
            assert_eq!(whole(short).unwrap(), None);
        }
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").unwrap(), Some(200));
        assert!(whole(b"nonsense, not a status line\r\n\r\n").is_err());
    }

    #[test]
    fn writes_requests_that_end_where_they_say() {
        let request = String::from_utf8(post("/echo", "{}", true).to_vec()).unwrap();
        assert!(request.starts_with("POST /echo HTTP/1.1\r\n") && request.ends_with("content-length: 2\r\n\r\n{}"));
        assert!(request.contains("connection: close"));
    }
}

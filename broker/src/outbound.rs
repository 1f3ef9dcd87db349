//! The way out for documents that others publish: issuers' keys and discovery documents.
//!
//! Whoever can put a URL into a policy set or a name into DNS must not be able to make the broker talk to its own
//! network. So: https only, no redirects, no proxies, no credentials; the name is resolved here, every address is
//! checked, and the connection goes to exactly the checked addresses. Time and size are bounded, nothing is
//! decompressed, and no byte of an answer ever appears in an error.

mod addresses;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Certificate, Client, Response, dns, redirect};
use url::{Host, Url};

pub use addresses::Reach;

/// Name resolution, connecting, TLS, the answer and its body together.
const TOTAL: Duration = Duration::from_secs(3);

const CONNECT: Duration = Duration::from_secs(2);

/// The largest body that is read, in bytes.
const BODY_BYTES: usize = 256 * 1024;

const USER_AGENT: &str = concat!("daypass-broker/", env!("CARGO_PKG_VERSION"));

/// A future of a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns names into addresses.
pub trait Resolver: Debug + Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// Why a document could not be fetched. Never holds a part of the answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("not a plain https URL")]
    NotHttps,
    #[error("the name cannot be resolved: {0}")]
    Unresolved(io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("{0} is not a public address; the issuer's entry would have to allow private networks")]
    Private(IpAddr),
    #[error("{0} is an address that is never asked")]
    Forbidden(IpAddr),
    #[error("the CA file {path} cannot be used: {reason}", path = .path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("no answer within {} s", TOTAL.as_secs())]
    TooSlow,
    #[error("{0}")]
    Failed(String),
    #[error("answered with a redirect, which is never followed")]
    Redirect,
    #[error("answered with status {0}")]
    Status(u16),
    #[error("answered with a compressed body, which was not asked for")]
    Encoded,
    #[error("answered with more than 256 KiB")]
    TooLarge,
}

/// Where a request may go and whose certificates are believed there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    pub reach: Reach,
    /// Certificate authorities (PEM) believed instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Destination {
    /// Says what is wrong with its file.
    pub async fn check(&self) -> Result<(), OutboundError> {
        client(Pinned(Vec::new()), self.ca_file.as_deref()).await.map(drop)
    }
}

/// Fetches documents under the rules of this module.
#[derive(Clone, Debug)]
pub struct Outbound {
    resolver: Arc<dyn Resolver>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new(Arc::new(SystemResolver))
    }
}

impl Outbound {
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver }
    }

    /// The document at `url`: the body of a 200 answer.
    pub async fn get(&self, url: &Url, destination: &Destination) -> Result<Vec<u8>, OutboundError> {
        tokio::time::timeout(TOTAL, self.fetch(url, destination)).await.map_err(|_| OutboundError::TooSlow)?
    }

    async fn fetch(&self, url: &Url, destination: &Destination) -> Result<Vec<u8>, OutboundError> {
        let addresses = self.addresses(url, destination.reach).await?;
        let client = client(Pinned(addresses), destination.ca_file.as_deref()).await?;
        let answer = client.get(url.clone()).header(ACCEPT_ENCODING, "identity").send().await.map_err(|error| failed(&error))?;
        read(answer).await
    }

    /// The checked addresses of the URL's host. One address out of reach refuses all of them.
    async fn addresses(&self, url: &Url, reach: Reach) -> Result<Vec<SocketAddr>, OutboundError> {
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::NotHttps);
        }
        let port = url.port_or_known_default().ok_or(OutboundError::NotHttps)?;
        let found = match url.host().ok_or(OutboundError::NotHttps)? {
            Host::Ipv4(address) => vec![IpAddr::V4(address)],
            Host::Ipv6(address) => vec![IpAddr::V6(address)],
            Host::Domain(name) => self.resolver.resolve(name).await.map_err(OutboundError::Unresolved)?,
        };
        if found.is_empty() {
            return Err(OutboundError::NoAddress);
        }
        for address in &found {
            reach.check(*address)?;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// The checked addresses, whatever the name: the connection can go nowhere else.
struct Pinned(Vec<SocketAddr>);

impl dns::Resolve for Pinned {
    fn resolve(&self, _: dns::Name) -> dns::Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as dns::Addrs) })
    }
}

async fn client(addresses: Pinned, ca_file: Option<&Path>) -> Result<Client, OutboundError> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .https_only(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .pool_max_idle_per_host(0)
        .dns_resolver(addresses);
    if let Some(path) = ca_file {
        let unusable = |reason: String| OutboundError::CaFile { path: path.to_owned(), reason };
        let pem = tokio::fs::read(path).await.map_err(|error| unusable(error.to_string()))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|_| unusable("it is not PEM".to_owned()))?;
        if authorities.is_empty() {
            return Err(unusable("it has no certificate".to_owned()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| failed(&error))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, OutboundError> {
    match answer.status().as_u16() {
        200 => {}
        300..=399 => return Err(OutboundError::Redirect),
        other => return Err(OutboundError::Status(other)),
    }
    if answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(OutboundError::Encoded);
    }
    if answer.content_length().is_some_and(|length| length > BODY_BYTES as u64) {
        return Err(OutboundError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > BODY_BYTES {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong, with the causes that say more than "error sending request".
fn failed(error: &reqwest::Error) -> OutboundError {
    if error.is_timeout() {
        return OutboundError::TooSlow;
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    OutboundError::Failed(deepest.to_string())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

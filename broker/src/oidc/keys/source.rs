//! Where one issuer's keys come from.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use url::Url;

use super::Origin;
use crate::crypto::jws::{Algorithm, SetRefused};
use crate::crypto::keyring::compound;
use crate::crypto::sha256;
use crate::oidc::discovery::{self, DiscoveryRefused};
use crate::outbound::{Destination, Outbound, OutboundError, Reach};

/// The largest key file that is read, in bytes.
const FILE_BYTES: u64 = 256 * 1024;

/// An issuer, as far as its keys are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The issuer URL, byte for byte.
    pub issuer: String,
    pub algorithms: Vec<Algorithm>,
    pub place: Place,
    pub destination: Destination,
}

/// Where the keys are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The discovery document at this address tells; the keys are on the same host.
    Discovered(Url),
    /// At this address, on whatever host the policy set says.
    Url(Url),
    /// In a file that somebody else keeps up to date, for issuers that cannot be reached.
    File(PathBuf),
}

impl Place {
    /// The place that an issuer's entry names: its file, else its address, else its discovery document.
    pub fn of(
        issuer: &str,
        discovery: Option<&str>,
        jwks_url: Option<&str>,
        jwks_file: Option<&str>,
    ) -> Result<Self, url::ParseError> {
        match (jwks_file, jwks_url, discovery) {
            (Some(file), _, _) => Ok(Self::File(PathBuf::from(file))),
            (None, Some(url), _) => Ok(Self::Url(Url::parse(url)?)),
            (None, None, Some(url)) => Ok(Self::Discovered(Url::parse(url)?)),
            (None, None, None) => Ok(Self::Discovered(Url::parse(&discovery::document_url(issuer))?)),
        }
    }
}

/// Which state of a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// A key document and, for files, which state of it.
pub(super) enum Document {
    Fetched(Vec<u8>),
    Read(Vec<u8>, Stamp),
    /// The file is as it was.
    Unchanged,
}

/// Why there are no new keys. The keys that are held stay.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFailed {
    #[error("the discovery document: {0}")]
    Discovery(OutboundError),
    #[error("the discovery document is refused: {0}")]
    DiscoveryRefused(#[from] DiscoveryRefused),
    #[error("the keys: {0}")]
    Keys(OutboundError),
    #[error("the key file: {0}")]
    File(#[from] io::Error),
    #[error("the keys are refused: {0}")]
    Set(#[from] SetRefused),
}

impl Source {
    /// Fetches or reads the document; `before` is the state of the file that is held.
    pub(super) async fn document(&self, outbound: &Outbound, before: Option<Stamp>) -> Result<Document, FetchFailed> {
        match &self.place {
            Place::File(path) => read(path, before).await,
            Place::Url(url) => outbound.get(url, &self.destination).await.map(Document::Fetched).map_err(FetchFailed::Keys),
            Place::Discovered(from) => {
                let document = outbound.get(from, &self.destination).await.map_err(FetchFailed::Discovery)?;
                let url = discovery::keys_url(&document, &self.issuer, from)?;
                outbound.get(&url, &self.destination).await.map(Document::Fetched).map_err(FetchFailed::Keys)
            }
        }
    }

    /// Stands for the place and for all that decides who answers there. Whoever moves an issuer's keys, perhaps because the old
    /// place fell into wrong hands, is not given what was kept of that.
    pub(super) fn origin(&self) -> Origin {
        let (kind, place) = match &self.place {
            Place::Discovered(url) => ("discovered", url.as_str().as_bytes()),
            Place::Url(url) => ("url", url.as_str().as_bytes()),
            Place::File(path) => ("file", path.as_os_str().as_encoded_bytes()),
        };
        let reach = match self.destination.reach {
            Reach::Public => "public",
            Reach::Private => "private",
        };
        let ca_file = self.destination.ca_file.as_ref().map_or(b"".as_slice(), |file| file.as_os_str().as_encoded_bytes());
        sha256(&compound(&[kind.as_bytes(), place, reach.as_bytes(), ca_file]))
    }

    pub(super) const fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }
}

async fn read(path: &Path, before: Option<Stamp>) -> Result<Document, FetchFailed> {
    let metadata = tokio::fs::metadata(path).await?;
    let stamp = Stamp { modified: metadata.modified().ok(), length: metadata.len() };
    if before == Some(stamp) && stamp.modified.is_some() {
        return Ok(Document::Unchanged);
    }
    if !metadata.is_file() || stamp.length > FILE_BYTES {
        return Err(SetRefused::TooLarge.into());
    }
    Ok(Document::Read(tokio::fs::read(path).await?, stamp))
}

//! Where the last good keys are kept, so that a restart during an issuer's outage and the other replicas have them.

use std::fmt::Debug;

use time::OffsetDateTime;

use crate::outbound::BoxFuture;

/// A key document as an issuer gave it. It has been admitted once and is admitted again when it is taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    pub document: Vec<u8>,
    pub fetched_at: OffsetDateTime,
}

/// The shelf does not answer, or what it holds does not carry our seal.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ShelfError(pub String);

impl ShelfError {
    pub(super) fn slow() -> Self {
        Self("no answer in time".to_owned())
    }
}

/// Says where a document came from: what is kept of one place is nothing for who was told to ask at another.
pub type Origin = [u8; 32];

/// Keeps the last good document of each issuer, by issuer URL. It must be able to tell what it wrote from what somebody
/// else did.
pub trait KeyShelf: Debug + Send + Sync {
    /// What is kept of this origin.
    fn load<'a>(&'a self, issuer: &'a str, origin: Origin) -> BoxFuture<'a, Result<Option<Shelved>, ShelfError>>;

    /// Replaces what is kept, unless that is newer and of the same origin.
    fn save<'a>(&'a self, issuer: &'a str, origin: Origin, shelved: Shelved) -> BoxFuture<'a, Result<(), ShelfError>>;
}

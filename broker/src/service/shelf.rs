//! Keeps issuers' key sets in the store.

use crate::oidc::keys::{KeyShelf, Origin, ShelfError, Shelved};
use crate::outbound::BoxFuture;
use crate::store::Store;

/// The store as the key cache sees it.
#[derive(Clone, Debug)]
pub struct Shelf(pub Store);

impl KeyShelf for Shelf {
    fn load<'a>(&'a self, issuer: &'a str, origin: Origin) -> BoxFuture<'a, Result<Option<Shelved>, ShelfError>> {
        Box::pin(async move {
            let kept = self.0.issuer_keys(issuer, &origin).await.map_err(|error| ShelfError(error.to_string()))?;
            Ok(kept.map(|(document, fetched_at)| Shelved { document, fetched_at }))
        })
    }

    fn save<'a>(&'a self, issuer: &'a str, origin: Origin, shelved: Shelved) -> BoxFuture<'a, Result<(), ShelfError>> {
        Box::pin(async move {
            let saved = self.0.save_issuer_keys(issuer, &origin, &shelved.document, shelved.fetched_at).await;
            saved.map_err(|error| ShelfError(error.to_string()))
        })
    }
}

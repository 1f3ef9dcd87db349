//! The issuers' keys, held so that a good token never waits for an issuer.
//!
//! Keys are refreshed in the background, parsed aside and swapped whole; a set that is withdrawn stops counting, a set
//! that is broken never replaces a good one. A key id that is not held may cause a fetch, but however many ask there is
//! one fetch at a time and one in thirty seconds. No lock is held while anything is fetched.

mod issuer;
mod shelf;
mod source;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use time::OffsetDateTime;

pub use issuer::Held;
pub use shelf::{KeyShelf, Origin, ShelfError, Shelved};
pub use source::{Place, Source};

use crate::outbound::Outbound;
use crate::system::System;
use issuer::IssuerKeys;

/// The keys of every issuer that is believed.
#[derive(Debug)]
pub struct KeyCache {
    world: World,
    issuers: ArcSwap<HashMap<String, Arc<IssuerKeys>>>,
}

/// What fetching keys needs.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) outbound: Outbound,
    pub(crate) shelf: Option<Arc<dyn KeyShelf>>,
}

/// The answer to "which key is this?".
#[derive(Clone, Debug)]
pub enum Found {
    /// The issuer's keys. If the key is not among them, it is not to be had.
    Keys(Arc<Held>),
    /// There are no keys of the issuer, or they are too old.
    Unavailable {
        /// Seconds after which it may be different.
        retry_after: u32,
    },
}

/// How it stands with one issuer's keys, for metrics and health.
#[derive(Clone, Debug)]
pub struct Status {
    pub issuer: String,
    /// How long ago the issuer last confirmed the keys.
    pub age: Option<Duration>,
    /// The keys are older than a refresh should leave them: fetching fails.
    pub stale: bool,
    /// Attempts to fetch that failed, since this was last asked.
    pub failures: u64,
    /// Why the last attempt failed; absent after a good one.
    pub failure: Option<String>,
    /// The last attempt failed because the issuer publishes a private key.
    pub private_key: bool,
}

impl KeyCache {
    /// Knows no issuer until it is [configured](Self::configure).
    pub fn new(system: System, outbound: Outbound, shelf: Option<Arc<dyn KeyShelf>>) -> Self {
        Self { world: World { system, outbound, shelf }, issuers: ArcSwap::default() }
    }

    /// Takes over the issuers of a policy set. Keys that are held stay where an issuer's place is the same.
    pub fn configure(&self, sources: Vec<Source>) {
        let before = self.issuers.load();
        let keep = |source: Source| {
            let held = before.get(&source.issuer);
            let keys = match held {
                Some(held) if *held.source() == source => Arc::clone(held),
                held => Arc::new(IssuerKeys::new(source, held.map(Arc::as_ref))),
            };
            (keys.source().issuer.clone(), keys)
        };
        self.issuers.store(Arc::new(sources.into_iter().map(keep).collect()));
    }

    /// The keys of `issuer`, fetched again if need be and allowed so that `key_id` is among them if it is published.
    pub async fn find(&self, issuer: &str, key_id: &str) -> Found {
        let keys = self.issuers.load().get(issuer).cloned();
        match keys {
            Some(keys) => keys.find(&self.world, key_id).await,
            None => Found::Unavailable { retry_after: 30 },
        }
    }

    /// Fetches the keys of every issuer and waits until all have answered or failed.
    pub async fn refresh_all(&self) {
        let issuers: Vec<_> = self.issuers.load().values().cloned().collect();
        let flights: Vec<_> = issuers.iter().filter_map(|issuer| issuer.depart(&self.world, None)).collect();
        for mut flight in flights {
            flight.landed().await;
        }
    }

    /// Starts every refresh that is due, without waiting for it.
    pub fn refresh_due(&self) {
        let now = self.world.system.now();
        for issuer in self.issuers.load().values().filter(|issuer| issuer.is_due(now)) {
            issuer.depart(&self.world, None);
        }
    }

    /// Whether the keys of any issuer are there and not too old, or there is no issuer to have keys of.
    pub fn serves(&self) -> bool {
        let (issuers, now) = (self.issuers.load(), self.world.system.now());
        issuers.is_empty() || issuers.values().any(|issuer| issuer.serves(now))
    }

    /// How it stands, issuer by issuer.
    pub fn status(&self) -> Vec<Status> {
        let now = self.world.system.now();
        let mut status: Vec<_> = self.issuers.load().values().map(|issuer| issuer.status(now)).collect();
        status.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        status
    }
}

/// The time from `then` to `now`; none if the clock went back.
fn since(then: OffsetDateTime, now: OffsetDateTime) -> Duration {
    Duration::try_from(now - then).unwrap_or_default()
}

#[cfg(test)]
mod tests;

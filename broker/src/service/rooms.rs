//! The rooms that an exchange passes through, put together once.

use std::sync::Arc;

use domain::refusal::Refusal;

use super::denials::Denials;
use super::hooks::Keys as HookKeys;
use super::leases::Leases;
use super::limiter::Limiter;
use super::policies::Policies;
use super::stops::Stops;
use crate::engines::Engines;
use crate::engines::engine::Bench;
use crate::oidc::Verifier;
use crate::store::Store;
use crate::system::System;
use crate::telemetry::Metrics;

/// What the story calls, each a leaf that calls no other.
#[derive(Debug)]
pub struct Rooms {
    pub system: System,
    pub policies: Policies,
    pub verifier: Verifier,
    pub limiter: Limiter,
    pub denials: Denials,
    pub engines: Arc<Engines>,
    pub bench: Bench,
    pub store: Store,
    pub leases: Leases,
    pub hooks: HookKeys,
    pub stops: Stops,
    pub metrics: Metrics,
    /// How many live leases one session may have.
    pub leases_per_session: u32,
}

impl Rooms {
    /// Counts a decision by its outcome.
    pub fn count(&self, outcome: Result<(), &Refusal>) {
        self.metrics.decision(outcome.map_or_else(|refusal| refusal.code.as_str(), |()| "granted"));
    }
}

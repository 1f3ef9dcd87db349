//! The verbs of the broker. Front doors translate, services decide, stores remember.

pub mod ask;
pub mod audit;
pub mod bearer;
pub mod case;
pub mod decisions;
pub mod denials;
pub mod error;
pub mod exchange;
pub mod explain;
pub mod hold;
pub mod hooks;
pub mod inventory;
pub mod job_ends;
pub mod leases;
pub mod limiter;
pub mod making;
pub mod operators;
pub mod policies;
pub mod readiness;
pub mod reconcile;
pub mod rooms;
pub mod secrets;
pub mod sessions;
pub mod shelf;
pub mod stops;
pub mod subject;
pub mod switches;
pub mod upkeep;
mod waiting;

#[cfg(test)]
mod tests;

//! The workers, one file each.

mod clock;
mod connections;
mod expiry;
mod holds;
mod job_ends;
mod key_health;
mod keys;
mod passive;
mod policies;
mod reconciler;
mod sealer;
mod stops;
mod sweep;
mod tally;
pub mod worker;

pub use clock::ClockWatch;
pub use connections::ConnectionWatch;
pub use expiry::Expiry;
pub use holds::HoldWatch;
pub use job_ends::JobEndings;
pub use key_health::KeyHealth;
pub use keys::KeyFetch;
pub use passive::PassiveExpiry;
pub use policies::PolicyWatch;
pub use reconciler::Reconciler;
pub use sealer::Sealer;
pub use stops::{StopSweep, StopWatch};
pub use sweep::Sweep;
pub use tally::TallyFlush;

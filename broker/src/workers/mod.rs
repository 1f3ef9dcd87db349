//! The workers, one file each.

mod clock;
mod expiry;
mod sealer;
mod sweep;
mod tally;
pub mod worker;

pub use clock::ClockWatch;
pub use expiry::Expiry;
pub use sealer::Sealer;
pub use sweep::Sweep;
pub use tally::TallyFlush;

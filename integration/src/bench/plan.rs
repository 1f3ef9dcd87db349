//! How long and how often things are measured.

use std::time::Duration;

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub repeats: usize,
    /// One measurement.
    pub time: Duration,
    /// Verifications of one measurement of row 1.
    pub verifications: usize,
    /// Connections of the closed loop with connections kept.
    pub kept: usize,
    /// The same with a new connection for each request.
    pub new: usize,
    /// Connections of the open loop.
    pub crowd: usize,
    /// Exchanges after which memory and disk are looked at.
    pub exchanges: usize,
    /// Leases that are live at the same time.
    pub leases: u32,
    /// How many of them end at once.
    pub burst: u32,
}

impl Plan {
    pub const FULL: Self = Self {
        repeats: 3,
        time: Duration::from_secs(4),
        verifications: 8_000,
        kept: 128,
        new: 64,
        crowd: 1_024,
        exchanges: 60_000,
        leases: 1_000_000,
        burst: 20_000,
    };

    /// Shows that everything works, and judges nothing.
    pub const QUICK: Self = Self {
        repeats: 1,
        time: Duration::from_millis(300),
        verifications: 50,
        kept: 16,
        new: 8,
        crowd: 64,
        exchanges: 300,
        leases: 4_000,
        burst: 200,
    };

    /// Requests enough for one measurement at `rate`, and some more.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and positive")]
    pub fn enough(&self, rate: f64) -> usize {
        (rate * 1.8 * self.time.as_secs_f64()).max(50.0) as usize
    }
}

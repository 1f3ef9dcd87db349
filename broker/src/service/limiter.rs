//! How often one project may ask, counted only after its token was verified: nobody can spend another's allowance.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::refusal::{Code, Refusal};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::Deserialize;

use super::subject::Subject;

/// The `[limits]` of asking.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Asks of one project of one issuer in a minute.
    pub per_project_minute: NonZeroU32,
    /// Asks that may come at once before the rate counts.
    pub per_project_burst: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        let (minute, burst) = (NonZeroU32::MIN.saturating_add(599), NonZeroU32::MIN.saturating_add(199));
        Self { per_project_minute: minute, per_project_burst: burst }
    }
}

/// Counts per issuer and project, on this replica.
#[derive(Clone, Debug)]
pub struct Limiter {
    rates: Arc<DefaultKeyedRateLimiter<(String, String)>>,
}

impl Limiter {
    pub fn new(config: Config) -> Self {
        let quota = Quota::per_minute(config.per_project_minute).allow_burst(config.per_project_burst);
        Self { rates: Arc::new(RateLimiter::keyed(quota)) }
    }

    pub fn admit(&self, subject: &Subject) -> Result<(), Refusal> {
        let key = (subject.issuer.clone(), subject.project().to_owned());
        self.rates.check_key(&key).map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.max(Duration::from_millis(1)).as_secs()).unwrap_or(60).saturating_add(1);
            Refusal::new(Code::RateLimited).retry_after(seconds)
        })
    }

    /// Forgets projects that have not asked lately.
    pub fn tidy(&self) {
        self.rates.retain_recent();
    }
}

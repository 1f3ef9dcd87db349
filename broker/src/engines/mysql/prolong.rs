//! Letting a login last longer.

use std::time::Duration;

use super::EngineError;
use super::admin::Admin;
use super::remove::{Mark, mark};

/// How long the target may take.
const WHOLE: Duration = Duration::from_secs(5);

/// The target has nothing to move: its own end lies behind everything that a lease can become. What is left to do is to make sure
/// that there is a login to prolong. One that is gone or shut stays so.
pub(super) async fn prolong(admin: &Admin, user: &str) -> Result<(), EngineError> {
    admin
        .within(WHOLE, async |home, _| match mark(home, user).await? {
            Some(Mark::Open) => Ok(()),
            Some(Mark::Shut | Mark::Tombstone) | None => {
                Err(EngineError::TargetRefused("the login is not there any more".to_owned()))
            }
        })
        .await
}

//! Does a change let anybody do more than before? This is the one place that asks.

use domain::policy::{PolicySet, added};

/// What of `new` may, in words; none where nothing does. It errs on the careful side: whatever is not word for word as it was
/// may widen, and only what takes whole issuers and roles away does not.
pub(super) fn widens(old: &PolicySet, new: &PolicySet) -> Vec<String> {
    added(old, new)
}

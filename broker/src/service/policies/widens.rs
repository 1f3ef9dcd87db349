//! Does a change let anybody do more than before? This is the one place that asks.

use domain::policy::{Now, PolicySet, diff};

/// What of `new` does, in words; none where nothing does. What cannot be told counts.
pub(super) fn widens(old: &PolicySet, new: &PolicySet) -> Vec<String> {
    let diff = diff(old, new);
    let moved = diff.moved.iter().filter(|moved| moved.now == Now::Allowed);
    let mut wider: Vec<String> =
        moved.map(|moved| format!("the role {} lets in more tokens of {}", moved.role, moved.issuer)).collect();
    wider.extend(diff.differences.iter().filter(|difference| difference.widens).map(|difference| {
        let of = if difference.field.is_empty() { String::new() } else { format!(", {}", difference.field) };
        format!("the {} {}{of}", difference.kind, difference.name)
    }));
    wider.extend(diff.undecided.iter().map(|open| format!("the role {}, which cannot be told: {}", open.role, open.reason)));
    wider.dedup();
    wider
}

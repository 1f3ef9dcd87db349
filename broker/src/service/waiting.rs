//! How much waits to be taken back, target by target.

use std::collections::HashMap;
use std::time::Duration;

use super::error::Error;
use super::leases::GRACE;
use super::rooms::Rooms;

/// Tells the metrics, of targets with nothing to do too: a gauge that nobody sets keeps its last value.
pub(super) async fn tell(rooms: &Rooms) -> Result<(), Error> {
    let now = rooms.system.now();
    let names = rooms.store.connections().names().into_iter();
    let mut targets: HashMap<String, ([u64; 3], Duration)> = names.map(|name| (name, Default::default())).collect();
    for engine in rooms.engines.names() {
        targets.insert(engine.to_owned(), Default::default());
    }
    for waiting in rooms.store.waiting(now, now - GRACE).await? {
        let counts = [waiting.due, waiting.overdue, waiting.fenced].map(i64::unsigned_abs);
        targets.insert(waiting.target, (counts, Duration::try_from(now - waiting.since).unwrap_or_default()));
    }
    for (target, (counts, oldest)) in targets {
        rooms.metrics.waiting(&target, counts, oldest);
    }
    Ok(())
}

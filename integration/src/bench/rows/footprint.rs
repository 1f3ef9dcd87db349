//! Rows 13 to 15: memory, the time to start, and the size of the program.

use std::time::Duration;

use anyhow::Result;

use crate::bench::ground::{Broker, Ground};
use crate::bench::http::Connection;
use crate::bench::load::{Connections, closed, open};
use crate::bench::plan::Plan;
use crate::bench::process::resident_mb;
use crate::bench::table::{Bound, Row, Unit};

pub async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let mut rows = memory(ground, plan).await?;
    rows.push(start(ground, plan).await?);
    let size = std::fs::metadata(&ground.program)?.len() as f64 / 1e6;
    let row = Row::new("15", "size of the program", &[size], Unit::Megabytes, Bound::AtMost(40.0), Bound::AtMost(20.0));
    rows.push(row.told(format!("{size:.1} MB"), "(stripped in release builds)"));
    Ok(rows)
}

async fn memory(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let broker = ground.broker("memory", true).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = resident_mb(broker.pid)?;

    let target = ground.target(broker.native, true)?;
    let mut held = Vec::new();
    for _ in 0..plan.crowd {
        held.push(Connection::open(&target).await?);
    }
    // Each of them is used once, no more than the broker takes at a time.
    let requests = ground.exchanges(plan.crowd, false).await?;
    open(&target, &requests, plan.crowd, 1_000.0).await?.none_failed()?;
    let crowded = resident_mb(broker.pid)?;
    drop(held);

    exchange(ground, &broker, plan, plan.exchanges / 4).await?;
    let before = resident_mb(broker.pid)?;
    let more = plan.exchanges - plan.exchanges / 4;
    exchange(ground, &broker, plan, more).await?;
    let after = resident_mb(broker.pid)?;
    broker.stop().await?;

    let growth = (after / before - 1.0) * 100.0;
    let idle_row = Row::new("13a", "memory, idle", &[idle], Unit::Megabytes, Bound::AtMost(40.0), Bound::AtMost(15.0));
    let crowd =
        Row::new("13b", "memory, many TLS connections", &[crowded], Unit::Megabytes, Bound::AtMost(150.0), Bound::AtMost(80.0));
    let growing = Row::new("13c", "growth of memory", &[growth], Unit::Percent, Bound::AtMost(25.0), Bound::AtMost(10.0));
    Ok(vec![
        idle_row.told(format!("{idle:.1} MB"), "(OpenBao: 75–126 MB)"),
        crowd.told(format!("{crowded:.1} MB"), format!("{} held and as many in use", plan.crowd)),
        growing.told(
            format!("{before:.1} → {after:.1} MB"),
            format!("over {more} exchanges, after {}", plan.crowd + plan.exchanges / 4),
        ),
    ])
}

async fn exchange(ground: &Ground, broker: &Broker, plan: Plan, count: usize) -> Result<()> {
    let target = ground.target(broker.native, true)?;
    // Tokens live for minutes only: not all can be signed beforehand.
    let mut left = count;
    while left > 0 {
        let now = left.min(20_000);
        let requests = ground.exchanges(now, false).await?;
        closed(&target, &requests, plan.kept, Connections::Kept, Duration::from_mins(2)).await?.all_accepted()?;
        left -= now;
    }
    Ok(())
}

/// From the start of the program to readiness, with a schema, a policy set and the issuer's keys in place.
async fn start(ground: &Ground, plan: Plan) -> Result<Row> {
    let mut times = Vec::new();
    for _ in 0..plan.repeats.max(3) {
        let broker = ground.broker("start", true).await?;
        times.push(broker.ready_after.as_secs_f64() * 1_000.0);
        broker.stop().await?;
    }
    let row = Row::new("14", "start until ready", &times, Unit::Milliseconds, Bound::AtMost(300.0), Bound::AtMost(60.0));
    let median = row.measured;
    Ok(row.told(format!("{median:.0} ms"), "(OpenBao: 124 ms, still sealed)"))
}

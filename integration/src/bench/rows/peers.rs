//! Rows 6 and 8: the same tokens given to OpenBao, which answers with a service token and remembers it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bench::ground::{Broker, Ground};
use crate::bench::http::Target;
use crate::bench::load::{Connections, Requests, closed};
use crate::bench::openbao::{Kind, OpenBao};
use crate::bench::plan::Plan;
use crate::bench::process::cpu;
use crate::bench::table::{Bound, Row, Unit, median, per_second};

/// Answers in a second and CPU microseconds of the server's process for each, one value for each repeat.
#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

/// Row 6: kept connections, OpenBao on PostgreSQL.
pub async fn kept(ground: &Ground, broker: &Broker, program: &Path, plan: Plan) -> Result<Vec<Row>> {
    let peer = OpenBao::start(ground, program, Kind::Postgres).await?;
    let target = ground.target(broker.native, false)?;
    let (ours, theirs) = side_by_side(ground, broker.pid, &target, &peer, plan, Connections::Kept).await?;
    let row = Row::new(
        "6",
        "exchange, kept connections",
        &ratios(&ours.rates, &theirs.rates),
        Unit::Times,
        Bound::AtLeast(10.0),
        Bound::AtLeast(20.0),
    );
    Ok(vec![row.told(
        format!("{} (c={})", per_second(median(&ours.rates)), plan.kept),
        format!("OpenBao JWT login on PostgreSQL: {}", per_second(median(&theirs.rates))),
    )])
}

/// Row 8: new TLS connections, OpenBao on files of its own.
pub async fn new(ground: &Ground, broker: &Broker, program: &Path, plan: Plan) -> Result<Vec<Row>> {
    let peer = OpenBao::start(ground, program, Kind::Raft).await?;
    let target = ground.target(broker.native, true)?;
    let (ours, theirs) = side_by_side(ground, broker.pid, &target, &peer, plan, Connections::New).await?;
    let row = |number, what, measured: &[f64], floor, goal| {
        Row::new(number, what, measured, Unit::Times, Bound::AtLeast(floor), Bound::AtLeast(goal))
    };
    let rate = row("8a", "exchange, new TLS connection each", &ratios(&ours.rates, &theirs.rates), 2.5, 4.0);
    let work = row("8b", "CPU of an exchange, less by", &ratios(&theirs.cpu, &ours.cpu), 2.5, 5.0);
    Ok(vec![
        rate.told(
            format!("{} (c={})", per_second(median(&ours.rates)), plan.new),
            format!("OpenBao JWT login on Raft: {}", per_second(median(&theirs.rates))),
        ),
        work.told(format!("{:.0} µs", median(&ours.cpu)), format!("OpenBao JWT login on Raft: {:.0} µs", median(&theirs.cpu))),
    ])
}

async fn side_by_side(
    ground: &Ground,
    broker: u32,
    target: &Target,
    peer: &OpenBao,
    plan: Plan,
    kind: Connections,
) -> Result<(Figures, Figures)> {
    let (count, close) = if kind == Connections::Kept { (plan.kept, false) } else { (plan.new, true) };
    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    let mut rate = 2_000.0_f64;
    for _ in 0..plan.repeats {
        let requests = ground.exchanges(plan.enough(rate), close).await?;
        ours.take(broker, target, &requests, count, kind, plan.time).await?;
        rate = ours.rates.last().copied().unwrap_or(rate);
        let logins = peer.logins(ground, close)?;
        theirs.take(peer.pid, &peer.target, &logins, count, kind, plan.time).await?;
    }
    Ok((ours, theirs))
}

impl Figures {
    async fn take(
        &mut self,
        pid: u32,
        target: &Target,
        requests: &std::sync::Arc<Requests>,
        count: usize,
        kind: Connections,
        time: Duration,
    ) -> Result<()> {
        let before = cpu(pid)?;
        let outcome = closed(target, requests, count, kind, time).await?.all_accepted()?;
        let took = cpu(pid)?.saturating_sub(before);
        self.cpu.push(took.as_secs_f64() * 1e6 / outcome.accepted.len().max(1) as f64);
        self.rates.push(outcome.rate());
        Ok(())
    }
}

fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

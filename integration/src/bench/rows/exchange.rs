//! Rows 3 and 4: whole exchanges over kept connections against pgbench writing the same rows, in requests and in PostgreSQL's
//! work.

use anyhow::Result;

use crate::bench::ground::{Broker, Ground};
use crate::bench::load::{Connections, Outcome, closed};
use crate::bench::pgbench::{self, BATCH, Scripts};
use crate::bench::plan::Plan;
use crate::bench::process::{cpu, cpu_of_family};
use crate::bench::table::{Bound, Row, Unit, median, per_second};

/// How many connections pgbench may have; the best one counts.
const CLIENTS: [u32; 2] = [16, 32];

/// One measurement of the broker.
struct Run {
    outcome: Outcome,
    /// CPU microseconds of an exchange: the broker's, PostgreSQL's and the load generator's.
    broker: f64,
    postgres: f64,
    generator: f64,
}

/// What the rows are made of.
#[derive(Debug)]
pub struct Measured {
    pub rows: Vec<Row>,
    /// Exchanges in a second with every core busy.
    pub saturation: f64,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

pub async fn measure(ground: &Ground, broker: &Broker, scripts: &Scripts, plan: Plan) -> Result<Measured> {
    let mut rate = warm_up(ground, broker, plan).await?;
    let (mut runs, mut references, mut ceilings) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        let run = exchanges(ground, broker, plan, rate).await?;
        rate = rate.max(run.outcome.rate());
        runs.push(run);
        let mut best: Option<pgbench::Run> = None;
        for clients in CLIENTS {
            let run = pgbench::run(ground, &scripts.one, clients, plan.time).await?;
            best = Some(best.filter(|best| best.rate >= run.rate).unwrap_or(run));
        }
        references.extend(best);
        ceilings.push(pgbench::run(ground, &scripts.batch, 2, plan.time).await?.rate * f64::from(BATCH));
    }

    let of = |value: fn(&Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    let rates = of(|run| run.outcome.rate());
    let reference_rates: Vec<f64> = references.iter().map(|run| run.rate).collect();
    let reference_cpu: Vec<f64> =
        references.iter().map(|run| run.cpu.as_secs_f64() * 1e6 / run.transactions.max(1) as f64).collect();
    let ratio = |ours: &[f64], theirs: &[f64]| ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>();
    let throughput = Row::new(
        "3",
        "exchange, kept connections",
        &ratio(&rates, &reference_rates),
        Unit::Times,
        Bound::AtLeast(0.6),
        Bound::AtLeast(1.0),
    );
    let work = Row::new(
        "4",
        "PostgreSQL's CPU per exchange",
        &ratio(&of(|run| run.postgres), &reference_cpu),
        Unit::Times,
        Bound::AtMost(1.0),
        Bound::AtMost(0.4),
    );
    let saturation = median(&rates);
    let rows = vec![
        throughput.told(
            format!("{} (c={})", per_second(saturation), plan.kept),
            format!("pgbench, same {} rows: {}", scripts.rows, per_second(median(&reference_rates))),
        ),
        work.told(format!("{:.0} µs", median(&of(|run| run.postgres))), format!("pgbench's: {:.0} µs", median(&reference_cpu))),
    ];
    let notes = vec![
        format!(
            "an exchange costs {:.0} µs in the broker, {:.0} µs in PostgreSQL, {:.0} µs in the load generator; p50 {:.1} ms, p99 {:.1} ms",
            median(&of(|run| run.broker)),
            median(&of(|run| run.postgres)),
            median(&of(|run| run.generator)),
            median(&of(|run| run.outcome.quantile(0.5))),
            median(&of(|run| run.outcome.quantile(0.99))),
        ),
        format!("the ceiling, pgbench writing {BATCH} exchanges in one statement, c=2: {}", per_second(median(&ceilings))),
    ];
    Ok(Measured { rows, saturation, notes })
}

/// Fills caches and pools, and finds about how fast it goes.
async fn warm_up(ground: &Ground, broker: &Broker, plan: Plan) -> Result<f64> {
    let requests = ground.exchanges(plan.exchanges.min(3_000), false).await?;
    let target = ground.target(broker.native, false)?;
    Ok(closed(&target, &requests, plan.kept, Connections::Kept, plan.time).await?.all_accepted()?.rate())
}

async fn exchanges(ground: &Ground, broker: &Broker, plan: Plan, rate: f64) -> Result<Run> {
    let requests = ground.exchanges(plan.enough(rate), false).await?;
    let target = ground.target(broker.native, false)?;
    let (database, own) = (ground.postgres_pid(), std::process::id());
    let before = (cpu(broker.pid)?, cpu_of_family(database)?, cpu(own)?);
    let outcome = closed(&target, &requests, plan.kept, Connections::Kept, plan.time).await?.all_accepted()?;
    let after = (cpu(broker.pid)?, cpu_of_family(database)?, cpu(own)?);
    let each = |before: std::time::Duration, after: std::time::Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / outcome.accepted.len().max(1) as f64
    };
    let (broker, postgres, generator) = (each(before.0, after.0), each(before.1, after.1), each(before.2, after.2));
    Ok(Run { outcome, broker, postgres, generator })
}

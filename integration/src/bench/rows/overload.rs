//! Rows 11 and 12: how long answers take at half of what the machine can do, and what is left when twice as much is asked.

use anyhow::Result;

use crate::bench::ground::{Broker, Ground};
use crate::bench::load::{Outcome, open};
use crate::bench::plan::Plan;
use crate::bench::table::{Bound, Row, Unit, median, per_second};

pub async fn measure(ground: &Ground, broker: &Broker, saturation: f64, plan: Plan) -> Result<Vec<Row>> {
    let (mut half, mut twice) = (Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        half.push(offered(ground, broker, saturation / 2.0, plan).await?.none_failed()?);
        twice.push(offered(ground, broker, saturation * 2.0, plan).await?.none_failed()?);
    }
    let of = |runs: &[Outcome], value: &dyn Fn(&Outcome) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    let tails = of(&half, &|run| run.quantile(0.99) / run.quantile(0.5).max(0.001));
    let goodput = of(&twice, &|run| run.rate() / saturation);
    let calm = median(&of(&half, &|run| run.quantile(0.99)));
    let crowded = of(&twice, &|run| run.quantile(0.99) / calm.max(0.001));
    let refused = median(&of(&twice, &|run| run.refused.len() as f64 / (run.refused.len() + run.accepted.len()).max(1) as f64));

    let tail = Row::new("11", "p99 at half saturation", &tails, Unit::Times, Bound::AtMost(8.0), Bound::AtMost(4.0));
    let kept = Row::new("12a", "goodput at 2x saturation", &goodput, Unit::Times, Bound::AtLeast(0.6), Bound::AtLeast(0.85));
    let wait = Row::new("12b", "p99 of the accepted at 2x", &crowded, Unit::Times, Bound::AtMost(20.0), Bound::AtMost(8.0));
    Ok(vec![
        tail.told(
            format!("{calm:.1} ms at {}", per_second(saturation / 2.0)),
            format!("its p50: {:.1} ms", median(&of(&half, &|run| run.quantile(0.5)))),
        ),
        kept.told(
            format!("{}, {:.0} % refused at once", per_second(median(&of(&twice, &Outcome::rate))), refused * 100.0),
            format!("own saturation: {}", per_second(saturation)),
        ),
        wait.told(
            format!("{:.0} ms", median(&of(&twice, &|run| run.quantile(0.99)))),
            format!("own p99 at half saturation: {calm:.1} ms"),
        ),
    ])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and positive")]
async fn offered(ground: &Ground, broker: &Broker, rate: f64, plan: Plan) -> Result<Outcome> {
    let count = (rate * plan.time.as_secs_f64()).max(20.0) as usize;
    let requests = ground.exchanges(count, false).await?;
    open(&ground.target(broker.native, false)?, &requests, plan.crowd, rate).await
}

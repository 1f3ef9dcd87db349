//! Row 5: whole exchanges, each over a TLS connection of its own as CI jobs come, against an echo behind the same edge.

use anyhow::Result;

use crate::bench::echo::Echo;
use crate::bench::ground::{Broker, Ground};
use crate::bench::http::post;
use crate::bench::load::{Connections, Requests, closed};
use crate::bench::plan::Plan;
use crate::bench::table::{Bound, Row, Unit, median, per_second};

pub async fn measure(ground: &Ground, broker: &Broker, echo: &Echo, plan: Plan) -> Result<Vec<Row>> {
    let (exchange, echoed) = (ground.target(broker.native, true)?, ground.target(echo.address, true)?);
    let token = ground.signer.token()?;
    let same = || Requests::again(post("/api/v1/exchange", &format!("{{\"token\":\"{token}\"}}"), true));
    let mut rate = closed(&echoed, &same(), plan.new, Connections::New, plan.time / 2).await?.all_accepted()?.rate();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        // It cannot be faster than the echo, whose rate therefore says how many tokens are enough.
        let requests = ground.exchanges(plan.enough(rate), true).await?;
        ours.push(closed(&exchange, &requests, plan.new, Connections::New, plan.time).await?.all_accepted()?.rate());
        let echo = closed(&echoed, &same(), plan.new, Connections::New, plan.time).await?.all_accepted()?.rate();
        rate = rate.max(echo);
        theirs.push(echo);
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let row = Row::new("5", "exchange, new TLS connection each", &ratios, Unit::Times, Bound::AtLeast(0.4), Bound::AtLeast(0.6));
    Ok(vec![row.told(
        format!("{} (c={})", per_second(median(&ours)), plan.new),
        format!("echo, same edge: {}", per_second(median(&theirs))),
    )])
}

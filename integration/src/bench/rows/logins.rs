//! Row 9: logins of their own against pgbench making roles with a password of the same form, and how fast many are taken back at
//! once.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::store::leases::Wanted;
use domain::audit::{Kind, Record};
use sqlx::PgConnection;

use crate::bench::ground::{Broker, Ground};
use crate::bench::load::{Connections, closed};
use crate::bench::pgbench;
use crate::bench::plan::Plan;
use crate::bench::table::{Bound, Row, Unit, median, per_second};

/// Connections of both sides.
const CLIENTS: u32 = 8;
/// More than this many logins a second no server makes.
const FASTEST: f64 = 1_500.0;
/// Leases marked in one transaction, as the broker does.
const BATCH: i64 = 500;
/// How long all of them may take to be gone.
const GONE: Duration = Duration::from_mins(5);

pub async fn measure(ground: &Ground, broker: &Broker, plan: Plan) -> Result<Vec<Row>> {
    let script = ground.path("role.sql");
    std::fs::write(&script, role_script()?)?;
    let target = ground.target(broker.native, false)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        let requests = ground.logins((FASTEST * plan.time.as_secs_f64()) as usize).await?;
        let made = closed(&target, &requests, CLIENTS as usize, Connections::Kept, plan.time).await?.all_accepted()?;
        ours.push(made.rate());
        theirs.push(pgbench::run_as(ground, "simple", &script, CLIENTS, plan.time).await?.rate);
    }
    let (count, time) = take_back(ground).await?;
    let gone = count as f64 / time.as_secs_f64();
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let makes = Row::new("9a", "logins made", &ratios, Unit::Times, Bound::AtLeast(0.6), Bound::AtLeast(0.85));
    let rate = median(&ours);
    let takes = Row::new("9b", "logins revoked in bulk", &[gone / rate], Unit::Times, Bound::AtLeast(0.6), Bound::AtLeast(0.85));
    Ok(vec![
        makes.told(
            format!("{} (c={CLIENTS})", per_second(rate)),
            format!("pgbench, create role: {}", per_second(median(&theirs))),
        ),
        takes.told(
            format!("{} ({count} in {:.1} s)", per_second(gone), time.as_secs_f64()),
            format!("own rate of making them: {}", per_second(rate)),
        ),
    ])
}

/// Roles as the broker makes them, in a group, with an end, and with a verifier of as many rounds.
fn role_script() -> Result<String> {
    let word = |length: usize| STANDARD.encode(vec![7_u8; length]);
    let mut text = String::from("\\set number random(1, 1000000000000)\n");
    // A colon would begin a variable.
    writeln!(
        text,
        "create role \"bench:number\" login password E'SCRAM-SHA-256$4096\\072{}${}\\072{}' valid until '2099-01-01' \
         connection limit 4 in role shop_readwrite;",
        word(16),
        word(32),
        word(32)
    )?;
    Ok(text)
}

/// Asks all of them back at once; the broker's workers do the rest. How many there were, and how long it took until none was left.
async fn take_back(ground: &Ground) -> Result<(usize, Duration)> {
    let store = ground.store().await?;
    let mut database = ground.database().await?;
    let count = usize::try_from(live(&mut database).await?)?;
    let wanted = Wanted { role: Some("shop-login".to_owned()), ..Wanted::default() };
    let (revocation, begun, mut after) = (ground.system.row_id()?, Instant::now(), None);
    loop {
        let now = ground.system.now();
        let id = ground.system.row_id()?;
        let record = |_| Record::new(id, now, Kind::LeaseRevocation, revocation);
        after = store.revoke_batch(revocation, &wanted, after, BATCH, now, record).await?.after;
        if after.is_none() {
            break;
        }
    }
    while live(&mut database).await? > 0 {
        if begun.elapsed() > GONE {
            bail!("{} of {count} logins are not gone after {} s", live(&mut database).await?, GONE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let time = begun.elapsed();
    store.close().await;
    Ok((count, time))
}

async fn live(database: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar(r"select count(*) from pg_roles where rolname like 'dp\_%'").fetch_one(database).await?)
}

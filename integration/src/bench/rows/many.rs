//! Rows 10 and 18: as many live leases as a large installation has. How fast those that end by their own clock are written off,
//! against pgbench writing the same rows; how long a start takes; and what a burst of ends does to exchanges.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use domain::audit::{Kind, Record};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::bench::ground::{Broker, Ground};
use crate::bench::load::open;
use crate::bench::pgbench;
use crate::bench::plan::Plan;
use crate::bench::table::{Bound, Row, Unit, median, per_second};

/// Leases written off in one transaction, on both sides.
const CLAIM: i64 = 100;
/// The part of what is possible that is asked while leases end.
const SHARE: f64 = 0.25;
/// Pairs of measurements, calm and during a burst: a p99 moves more from one to the next than a burst moves it.
const PAIRS: usize = 6;
/// How long a burst may take to be written off.
const OVER: Duration = Duration::from_mins(3);

/// Half of them logins, half of them credentials that end by their own clock, none of them soon. Indexes are made afterwards, which is
/// faster.
const FILL: [&str; 3] = [
    "insert into daypass.sessions (id, token_hash, opened_by, issuer, role, project, project_name, run, attempt, job, opened_at, ends_at)
     select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, decode(repeat(md5(n::text), 2), 'hex'), gen_random_uuid(),
            'github', 'many-' || n % 50, (700000 + n % 2000)::text, 'acme/many-' || n % 2000, (8000000000 + n / 4)::text, '1', n::text,
            clock_timestamp(), clock_timestamp() + interval '12 hours'
     from generate_series(1, COUNT) as g (n)",
    "insert into daypass.leases (id, session_id, role, credential, engine, connection, upstream, state, revocable, handle, generation,
                                 issued_at, expires_at, due_at)
     select ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
            ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'many-' || n % 50, 'main',
            case n % 2 when 0 then 'postgres' else 'aws' end, case n % 2 when 0 then 'many-' || n % 40 end,
            case n % 2 when 0 then 'dp_aaaaaa_' || md5(n::text) end, case n % 2 when 0 then 'active' else 'passive' end, n % 2 = 0,
            decode(repeat(md5(n::text), 8), 'hex'), 1, clock_timestamp(), clock_timestamp() + interval '6 hours' + n * interval '10 ms',
            clock_timestamp() + interval '6 hours' + n * interval '10 ms'
     from generate_series(1, COUNT) as g (n)",
    "insert into daypass.lease_marks (lease_id, mark)
     select id, md5(mark || id::text)::uuid from daypass.leases, (values ('m'), ('p')) as two (mark)",
];

/// What one transaction writes, as one statement.
const WRITE_OFF: &str = "with due as materialized (
        select id, session_id from daypass.leases where state = 'passive' and due_at <= now() + interval '1 year'
        order by due_at limit 100 for no key update skip locked),
    gone as (
        update daypass.leases set state = 'expired', due_at = null, wanted_at = coalesce(wanted_at, due_at),
            ended_at = clock_timestamp(), handle = '', attempt = attempt + 1
        where id = any (array(select id from due))),
    told as (
        insert into daypass.audit_records (id, at, kind, decision_id, session_id, lease_id, role, packed, leaf)
        select gen_random_uuid(), clock_timestamp(), 'lease.expired', gen_random_uuid(), session_id, id, 'many', PACKED,
            uuid_send(id) || uuid_send(session_id)
        from due)
    select 1;\n";

/// Lets none of the rest end soon.
const PUT_OFF: &str = "update daypass.leases set due_at = due_at + interval '6 hours'
     where state = 'passive' and due_at < now() + interval '1 minute'";

pub async fn measure(ground: &Ground, plan: Plan, saturation: f64) -> Result<Vec<Row>> {
    let mut database = ground.database().await?;
    fill(&mut database, plan.leases).await?;
    let mut starts = Vec::new();
    for _ in 0..plan.repeats {
        let broker = ground.broker("many", false).await?;
        let begun = Instant::now();
        ground.try_out(&ground.target(broker.native, false)?).await?;
        starts.push((broker.ready_after + begun.elapsed()).as_secs_f64() * 1_000.0);
        broker.stop().await?;
    }
    let broker = ground.broker("many", false).await?;
    let mut rows = vec![bursts(ground, &broker, &mut database, plan, saturation * SHARE).await?];
    broker.stop().await?;
    rows.insert(0, write_off(ground, &mut database, plan).await?);
    let start = Row::new("18a", "start, many leases", &starts, Unit::Milliseconds, Bound::AtMost(2_000.0), Bound::AtMost(300.0));
    let shown = start.measured;
    rows.insert(1, start.told(format!("{shown:.0} ms"), format!("{} live leases; until the first exchange", plan.leases)));
    Ok(rows)
}

async fn fill(database: &mut PgConnection, count: u32) -> Result<()> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid = 'daypass.leases'::regclass and not i.indisprimary",
    )
    .fetch_all(&mut *database)
    .await?;
    for (name, _) in &indexes {
        sqlx::raw_sql(AssertSqlSafe(format!("drop index daypass.{name}"))).execute(&mut *database).await?;
    }
    for statement in FILL {
        let statement = statement.replace("COUNT", &count.to_string());
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *database).await?;
    }
    sqlx::raw_sql("set maintenance_work_mem = '512MB'").execute(&mut *database).await?;
    for (_, definition) in indexes {
        sqlx::raw_sql(AssertSqlSafe(definition)).execute(&mut *database).await?;
    }
    for after in ["vacuum analyze daypass.sessions", "vacuum analyze daypass.leases", "checkpoint"] {
        sqlx::raw_sql(after).execute(&mut *database).await?;
    }
    Ok(())
}

/// Exchanges at a steady rate, in peace and while leases end, in turns. What is judged is the p99 of the middle one of all seconds:
/// a single wait for the disk, in peace or not, moves the p99 of sixteen seconds more than a burst does.
async fn bursts(ground: &Ground, broker: &Broker, database: &mut PgConnection, plan: Plan, rate: f64) -> Result<Row> {
    let (mut calm, mut busy, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut refused, mut refusal) = (0, None);
    for pair in 0..if plan.repeats > 1 { PAIRS } else { 1 } {
        let (mut in_peace, mut in_burst) = (Vec::new(), Vec::new());
        // Neither is always the first.
        for burst in [pair % 2 == 1, pair % 2 == 0] {
            // Shorter than a burst, so that no calm is measured with it.
            let count = (rate * plan.time.as_secs_f64() * 4.0) as usize;
            let requests = ground.exchanges(count, false).await?;
            let (order, after) = if burst { ("asc", "500 ms") } else { ("desc", "12 hours") };
            end(database, plan.burst, order, after).await?;
            let load = open(&ground.target(broker.native, false)?, &requests, plan.crowd.min(256), rate).await?.none_failed()?;
            refused += load.refused.len();
            refusal = refusal.or_else(|| load.refusal.clone());
            *if burst { &mut in_burst } else { &mut in_peace } = load.quantile_by_second(0.99);
            sqlx::raw_sql(PUT_OFF).execute(&mut *database).await?;
        }
        ratios.push(median(&in_burst) / median(&in_peace).max(0.001));
        calm.extend(in_peace);
        busy.extend(in_burst);
    }
    end(database, plan.burst, "asc", "500 ms").await?;
    let took = written_off(database, Instant::now()).await?.as_secs_f64();
    let (calm, busy) = (median(&calm), median(&busy));
    let (floor, goal) = (Bound::AtMost(1.5), Bound::AtMost(1.1));
    let row = Row::judged("18b", "p99 while many leases end", busy / calm.max(0.001), &ratios, Unit::Times, floor, goal);
    let refused = match refusal {
        Some(refusal) => {
            let code = serde_json::from_str::<serde_json::Value>(&refusal)
                .ok()
                .and_then(|refusal| Some(refusal.get("code")?.as_str()?.to_owned()));
            format!(", {refused} refused ({})", code.unwrap_or(refusal))
        }
        None => String::new(),
    };
    Ok(row.told(
        format!("{busy:.1} ms; {} written off in {took:.0} s{refused}", plan.burst),
        format!("own p99 in peace, at {}: {calm:.1} ms", per_second(rate)),
    ))
}

/// Moves the end of as many leases. Pages change whole for the first time after a checkpoint: calm and burst both begin with one
/// and with as many rows changed.
async fn end(database: &mut PgConnection, count: u32, order: &str, after: &str) -> Result<()> {
    let moving = format!(
        "update daypass.leases set due_at = clock_timestamp() + interval '{after}' where id in (
             select id from daypass.leases where state = 'passive' order by due_at {order} limit {count})"
    );
    sqlx::raw_sql("checkpoint").execute(&mut *database).await?;
    sqlx::raw_sql(AssertSqlSafe(moving)).execute(&mut *database).await?;
    Ok(())
}

/// Waits until nothing is due any more. With `clock_timestamp()` the index would not be used, and looking would cost more than
/// what is looked at.
async fn written_off(database: &mut PgConnection, begun: Instant) -> Result<Duration> {
    const DUE: &str =
        "select exists (select from daypass.leases where state = 'passive' and due_at < now() + interval '1 minute')";
    loop {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if !sqlx::query_scalar::<_, bool>(DUE).fetch_one(&mut *database).await? {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > OVER {
            bail!("the leases are not written off after {} s", OVER.as_secs());
        }
    }
}

/// Row 10: one worker without a pause, against one client of pgbench.
async fn write_off(ground: &Ground, database: &mut PgConnection, plan: Plan) -> Result<Row> {
    let store = ground.store().await?;
    let packed = "select quote_literal(packed) || '::bytea' from daypass.audit_records where kind = 'lease.expired' limit 1";
    let packed: String = sqlx::query_scalar(packed).fetch_one(&mut *database).await?;
    let script = ground.path("write_off.sql");
    std::fs::write(&script, WRITE_OFF.replace("PACKED", &packed))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < plan.time {
            let now = ground.system.now();
            let record = |lease: &broker::store::leases::Expiring| {
                let mut record = Record::new(ground.system.row_id()?, now, Kind::LeaseExpired, ground.system.row_id()?);
                (record.session_id, record.lease_id, record.role) =
                    (Some(lease.session_id), Some(lease.id), Some(lease.role.clone()));
                Ok(record.field("engine", lease.engine.as_str()).field("attempt", i64::from(lease.attempt) + 1))
            };
            let expired = store.expire_leases(now + Duration::from_hours(24 * 365), CLAIM, record).await?.len();
            if expired == 0 {
                break;
            }
            count += expired;
        }
        ours.push(count as f64 / begun.elapsed().as_secs_f64());
        theirs.push(pgbench::run(ground, &script, 1, plan.time).await?.rate * CLAIM as f64);
    }
    store.close().await;
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let row = Row::new("10", "leases written off, one worker", &ratios, Unit::Times, Bound::AtLeast(0.5), Bound::AtLeast(0.8));
    Ok(row.told(
        format!("{} ({CLAIM} a time, of {})", per_second(median(&ours)), plan.leases),
        format!("pgbench, same rows: {}", per_second(median(&theirs))),
    ))
}

//! Row 17: what an exchange leaves on disk, rows with their indexes, and what it writes to the log of PostgreSQL.

use anyhow::Result;
use sqlx::PgConnection;
use std::time::Duration;

use crate::bench::ground::{Broker, Ground};
use crate::bench::load::{Connections, closed};
use crate::bench::plan::Plan;
use crate::bench::table::{Bound, Row, Unit};

/// What the prototype of the design wrote for an exchange: a use, a lease and a short audit record.
const REFERENCE: (f64, f64) = (1_061.0, 1_100.0);

const TABLES: &str = "select sum(pg_total_relation_size(('daypass.' || name)::regclass))::bigint
    from unnest(array['token_uses', 'sessions', 'leases', 'audit_records', 'audit_personal']) as t (name)";

/// Where the bytes are, over everything that this cluster has seen.
const PARTS: &str =
    "select string_agg(relname || ' ' || pg_relation_size(c.oid) / (select count(*) from daypass.sessions) || ' B', ', '
        order by pg_relation_size(c.oid) desc)
    from pg_class c where relnamespace = 'daypass'::regnamespace and relkind in ('r', 'i')
        and pg_relation_size(c.oid) > 10 * (select count(*) from daypass.sessions)";

pub async fn measure(ground: &Ground, broker: &Broker, plan: Plan) -> Result<(Vec<Row>, String)> {
    let mut database = ground.database().await?;
    // Pages change whole for the first time after a checkpoint; counted from one, that is in the figure. What the rows of
    // earlier measurements still make autovacuum write is not.
    // Uses are forgotten when their tokens have expired, which those of the measurements before would be.
    sqlx::raw_sql("delete from daypass.token_uses").execute(&mut database).await?;
    sqlx::raw_sql("vacuum").execute(&mut database).await?;
    sqlx::raw_sql("checkpoint").execute(&mut database).await?;
    let count = plan.exchanges.min(20_000);
    let requests = ground.exchanges(count, false).await?;
    let before = sizes(&mut database).await?;
    let target = ground.target(broker.native, false)?;
    let outcome = closed(&target, &requests, plan.kept, Connections::Kept, Duration::from_mins(2)).await?.all_accepted()?;
    let after = sizes(&mut database).await?;
    let each = |before: i64, after: i64| (after - before) as f64 / outcome.accepted.len().max(1) as f64;
    let (disk, log) = (each(before.0, after.0), each(before.1, after.1));

    let (floor, goal) = (Bound::AtMost(2.0), Bound::AtMost(1.3));
    let tables = Row::new("17a", "disk per exchange", &[disk / REFERENCE.0], Unit::Times, floor, goal);
    let wal = Row::new("17b", "PostgreSQL's log per exchange", &[log / REFERENCE.1], Unit::Times, floor, goal);
    let parts: String = sqlx::query_scalar(PARTS).fetch_one(&mut database).await?;
    let rows = vec![
        tables.told(format!("{disk:.0} B"), format!("three short rows: {:.0} B", REFERENCE.0)),
        wal.told(format!("{log:.0} B"), format!("three short rows: {:.0} B", REFERENCE.1)),
    ];
    Ok((rows, format!("what an exchange leaves on disk, on average: {parts}")))
}

/// Bytes of the tables with their indexes, and the end of the log.
async fn sizes(database: &mut PgConnection) -> Result<(i64, i64)> {
    let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(&mut *database).await?;
    let log: i64 = sqlx::query_scalar("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint").fetch_one(&mut *database).await?;
    Ok((tables, log))
}

//! The reference for everything that is written: pgbench inserting the very rows that one exchange leaves behind, with the
//! same durability, all of one exchange in one statement and one commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::process::Command;

use super::ground::Ground;
use super::process;

/// What one exchange of a stored secret writes. The first column that is given here finds the rows of one session.
const TABLES: [(&str, &str); 4] =
    [("token_uses", "session_id"), ("sessions", "id"), ("audit_records", "session_id"), ("audit_personal", "record_id")];

/// Columns that differ from exchange to exchange, as SQL over `ids`.
const FRESH: [(&str, &str, &str); 16] = [
    ("token_uses", "token_key", "ids.token"),
    ("token_uses", "session_id", "ids.session"),
    ("token_uses", "keep_until", "ids.at + interval '10 minutes'"),
    ("sessions", "id", "ids.session"),
    ("sessions", "token_hash", "uuid_send(ids.token) || uuid_send(ids.session)"),
    ("sessions", "opened_by", "ids.record"),
    ("sessions", "opened_at", "ids.at"),
    ("sessions", "ends_at", "ids.at + interval '15 minutes'"),
    ("audit_records", "id", "ids.record"),
    ("audit_records", "at", "ids.at"),
    ("audit_records", "decision_id", "ids.session"),
    ("audit_records", "session_id", "ids.session"),
    ("audit_records", "leaf", "uuid_send(ids.record) || uuid_send(ids.token)"),
    ("audit_personal", "record_id", "ids.record"),
    ("audit_personal", "salts", "uuid_send(ids.token) || uuid_send(ids.session)"),
    ("token_uses", "use_number", "1"),
];

/// The two scripts, made from what the broker itself wrote.
#[derive(Debug)]
pub struct Scripts {
    /// One exchange in one statement.
    pub one: PathBuf,
    /// 64 of them in one statement: the ceiling.
    pub batch: PathBuf,
    /// Rows that one exchange writes.
    pub rows: usize,
}

/// Exchanges that one transaction of [`Scripts::batch`] writes.
pub const BATCH: u32 = 64;

/// One run of pgbench.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub transactions: u64,
    /// Transactions in a second.
    pub rate: f64,
    /// What PostgreSQL's processes took for all of it.
    pub cpu: Duration,
}

impl Scripts {
    /// Takes the newest session as the sample.
    pub async fn make(ground: &Ground) -> Result<Self> {
        let mut database = ground.database().await?;
        let newest = "select id::text from daypass.sessions order by opened_at desc limit 1";
        let session: String = sqlx::query_scalar(newest).fetch_one(&mut database).await.context("no exchange has been made")?;
        let record = format!("select id::text from daypass.audit_records where session_id = '{session}'");
        let record: String = sqlx::query_scalar(AssertSqlSafe(record)).fetch_one(&mut database).await?;
        let (mut parts, mut rows) = (Vec::new(), 0);
        for (table, key) in TABLES {
            let value = if table == "audit_personal" { &record } else { &session };
            let sample = Sample::read(&mut database, table, key, value).await?;
            rows += sample.rows.len();
            parts.push(sample.insert());
        }
        let script = |from: &str| {
            format!(
                "with ids as materialized (select gen_random_uuid() as session, gen_random_uuid() as token, \
                 gen_random_uuid() as record, clock_timestamp() as at{from}), {} select 1;\n",
                parts.join(", ")
            )
        };
        let scripts = Self { one: ground.path("one.sql"), batch: ground.path("batch.sql"), rows };
        std::fs::write(&scripts.one, script(""))?;
        std::fs::write(&scripts.batch, script(&format!(" from generate_series(1, {BATCH})")))?;
        Ok(scripts)
    }
}

/// Runs a script with `clients` connections over the Unix socket.
pub async fn run(ground: &Ground, script: &Path, clients: u32, time: Duration) -> Result<Run> {
    run_as(ground, "prepared", script, clients, time).await
}

/// The same in another of pgbench's modes: what changes roles cannot be prepared.
pub async fn run_as(ground: &Ground, mode: &str, script: &Path, clients: u32, time: Duration) -> Result<Run> {
    let program = ground.bindir().join("pgbench");
    if !program.is_file() {
        bail!("{} is missing: install PostgreSQL's own pgbench, or set PG_BINDIR to where it is", program.display());
    }
    let ready = ground.postgres.ready();
    let seconds = time.as_secs().max(1).to_string();
    let mut command = Command::new(program);
    command.args(["-n", "-M", mode, "-j", "2", "-c", &clients.to_string(), "-T", &seconds, "-f"]).arg(script);
    command.arg("-h").arg(&ready.socket_dir).args(["-p", &ready.port.to_string(), "-U", ready.superuser, "daypass"]);
    command.env("PGPASSWORD", ground.postgres.password().expose()).env("PGOPTIONS", "-c jit=off");
    let before = process::cpu_of_family(ready.pid)?;
    let output = command.output().await.context("pgbench cannot be run")?;
    let cpu = process::cpu_of_family(ready.pid)?.saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let number = |start: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(start)).with_context(|| format!("pgbench said no {start:?}"))?;
        line.trim().split([' ', '/']).next().unwrap_or_default().parse::<f64>().context("pgbench's answer is no number")
    };
    let transactions = number("number of transactions actually processed: ")?;
    // A second on a crowded machine may be too short for any, and then no rate is told.
    let rate = if transactions > 0.0 { number("tps = ")? } else { 0.0 };
    Ok(Run { transactions: transactions as u64, rate, cpu })
}

/// The rows of one table that one exchange wrote.
struct Sample {
    table: &'static str,
    /// Names with types.
    columns: Vec<(String, String)>,
    rows: Vec<Vec<Option<String>>>,
}

impl Sample {
    async fn read(database: &mut PgConnection, table: &'static str, key: &str, value: &str) -> Result<Self> {
        let columns: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(format!(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute
             where attrelid = 'daypass.{table}'::regclass and attnum > 0 and not attisdropped order by attnum"
        )))
        .fetch_all(&mut *database)
        .await?;
        let texts: Vec<String> = columns.iter().map(|(name, _)| format!("{name}::text")).collect();
        let rows: Vec<Vec<Option<String>>> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select array[{}] from daypass.{table} where {key} = '{value}'",
            texts.join(", ")
        )))
        .fetch_all(&mut *database)
        .await?;
        if rows.is_empty() {
            bail!("the sample exchange left nothing in {table}");
        }
        Ok(Self { table, columns, rows })
    }

    /// A part of the statement that inserts these rows for each of `ids`.
    fn insert(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let selects: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let values = self.columns.iter().zip(row).map(|((name, kind), value)| self.value(name, kind, value.as_deref()));
                format!("select {} from ids", values.collect::<Vec<_>>().join(", "))
            })
            .collect();
        let table = self.table;
        format!(
            "{table}_rows as (insert into daypass.{table} ({}) {} on conflict do nothing)",
            names.join(", "),
            selects.join(" union all ")
        )
    }

    fn value(&self, name: &str, kind: &str, value: Option<&str>) -> String {
        let fresh = FRESH.iter().find(|(table, column, _)| *table == self.table && *column == name);
        match (fresh, value) {
            (Some((_, _, sql)), _) => (*sql).to_owned(),
            (None, Some(value)) => format!("{}::{kind}", literal(value)),
            (None, None) => format!("null::{kind}"),
        }
    }
}

/// A text as SQL. pgbench takes a colon for the start of a variable even in quotes, so colons are written as escapes.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('\'', r"\'").replace(':', r"\072").replace('\n', r"\n");
    format!("E'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_texts_so_that_pgbench_leaves_them_alone() {
        assert_eq!(literal(r"repo:a's \x"), r"E'repo\072a\'s \\x'");
    }
}

//! The schema: bringing it up to date, and comparing it with what this program knows.

use std::path::PathBuf;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

use super::error::code;
use super::servers::Servers;
use super::{StoreError, options};

/// Every migration, compiled in.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// What the serving role may do, table by table. Whatever is not listed it cannot do: it changes no audit record and no
/// schema.
const GRANTS: &[(&str, &str)] = &[
    ("deployment", "select, insert"),
    ("data_keys", "select, insert, update (state, retired_at)"),
    ("policy_sets", "select, insert"),
    ("policy_activations", "select, insert"),
    ("policy_shadows", "select, insert"),
    ("policy_proposals", "select, insert, update (outcome, decided_at, withdrawer, withdrawer_session)"),
    ("sessions", "select, insert, delete, update (ended_at)"),
    ("token_uses", "select, insert, delete, update (session_id, keep_until)"),
    (
        // `marks` for brokers of before 0011, which go on under the newer schema.
        "leases",
        "select, insert, delete, \
         update (state, handle, generation, expires_at, due_at, wanted_at, attempt, claimed_by, reason, ended_at, revocation, marks, \
         renewal)",
    ),
    ("lease_marks", "select, insert, delete"),
    ("audit_records", "select, insert"),
    ("audit_personal", "select, insert"),
    ("denial_counts", "select, insert, delete, update (count)"),
    ("secrets", "select, insert, delete, update (current, metadata, updated_at)"),
    ("secret_versions", "select, insert, delete, update (sealed, generation, deleted_at, destroyed)"),
    ("connections", "select, insert, delete, update (engine, version, sealed, generation, source, updated_at)"),
    ("issuer_keys", "select, insert, delete, update (origin, body, fetched_at, mac)"),
    ("job_ends", "select, insert, delete, update (look_at)"),
    ("stops", "select, insert, update (lifted_at, swept_at)"),
    ("bootstrap_tokens", "select, insert, delete, update (used_at)"),
    ("holds", "select, insert, delete"),
    ("reconciliations", "select, insert, delete, update (due_at)"),
    ("strays", "select, insert, delete, update (reason, quarantined_at)"),
];

/// Brings the schema up to date and grants `serving_role` exactly what serving needs. Creates nothing else; may be run
/// again and again, and by several at the same time.
pub async fn migrate(url: &str, password_file: Option<&PathBuf>, serving_role: Option<&str>) -> Result<(), StoreError> {
    let targets = options::parse(url, password_file).await?;
    let servers = Servers::of(targets.into_iter().map(ConnectOptions::disable_statement_logging).collect());
    let mut connection = servers.connect().await.map_err(StoreError::at_connect)?;
    let outcome = run(&mut connection, serving_role).await;
    // What was done is done; a failing goodbye changes nothing.
    let _ = connection.close().await;
    outcome
}

pub(super) async fn run(connection: &mut PgConnection, serving_role: Option<&str>) -> Result<(), StoreError> {
    // The migrator keeps its table in the first schema of the path, which for a role named `daypass` would be ours.
    sqlx::raw_sql("set search_path = public").execute(&mut *connection).await?;
    // Whoever waits for a table keeps all those waiting who come after: rather not at all than a long silence of every broker.
    sqlx::raw_sql("set lock_timeout = '5s'").execute(&mut *connection).await?;
    MIGRATOR.run(&mut *connection).await.map_err(failed)?;
    let Some(role) = serving_role else { return Ok(()) };
    // Statements of this kind take no parameters; the server itself quotes the name.
    let quoted = sqlx::query_scalar!("select quote_ident(rolname) from pg_roles where rolname = $1", role)
        .fetch_optional(&mut *connection)
        .await?
        .flatten()
        .ok_or_else(|| StoreError::NoSuchRole(role.to_owned()))?;
    let mut tx = connection.begin().await?;
    let revoke = format!("revoke all on all tables in schema daypass from {quoted}");
    let usage = format!("grant usage on schema daypass to {quoted}");
    let versions = format!("grant select on public._sqlx_migrations to {quoted}");
    for statement in [revoke, usage, versions] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await?;
    }
    for (table, rights) in GRANTS {
        let grant = format!("grant {rights} on daypass.{table} to {quoted}");
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

fn failed(error: MigrateError) -> StoreError {
    match &error {
        // lock_not_available
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) if code(cause).as_deref() == Some("55P03") => {
            StoreError::MigrationLocked
        }
        _ => StoreError::Migration(error),
    }
}

/// Says by name when the schema is not the one this program was built for.
pub(super) async fn check(pool: &PgPool) -> Result<(), StoreError> {
    // The table belongs to the migrator, so the statement is not checked against the schema.
    let found: Result<Option<i64>, _> =
        sqlx::query_scalar("select max(version) from public._sqlx_migrations where success").fetch_one(pool).await;
    let found = match found {
        Ok(found) => found.ok_or(StoreError::SchemaMissing)?,
        Err(error) => {
            return Err(match code(&error).as_deref() {
                // undefined_table
                Some("42P01") => StoreError::SchemaMissing,
                // insufficient_privilege
                Some("42501") => StoreError::NotGranted { role: pool.connect_options().get_username().to_owned() },
                _ => error.into(),
            });
        }
    };
    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(StoreError::SchemaOlder { found, needed: known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::SchemaNewer { found, known }),
    }
}

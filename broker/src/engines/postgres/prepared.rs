//! Prepared transactions of a login: they outlive its sessions, hold its locks for ever, and need no login to stand.
//!
//! A login can even keep itself open by one that has changed its own role. Only their owner or a superuser may end them, and only
//! in the database where they began. The administrator is a member of the role by then, so it ends them in the role's name.

use sqlx::{PgConnection, Row as _};

use super::EngineError;
use super::admin::{Admin, map, run};
use super::remove::Shut;

/// Rolls all of them back, in whatever database they are.
pub(super) async fn roll_back(home: &mut PgConnection, admin: &Admin, role: &Shut) -> Result<(), EngineError> {
    let rows = sqlx::query(
        "select p.database::text, p.gid, quote_literal(p.gid) from pg_prepared_xacts p join pg_roles r on r.rolname = p.owner \
         where r.oid = $1::int8::oid order by p.prepared",
    )
    .bind(role.oid)
    .fetch_all(home)
    .await
    .map_err(map)?;
    for row in rows {
        let database: String = row.try_get(0).map_err(map)?;
        let gid: String = row.try_get(1).map_err(map)?;
        let quoted: String = row.try_get(2).map_err(map)?;
        roll_back_one(admin, role, &database, &quoted).await.map_err(|error| {
            EngineError::TargetRefused(format!(
                "in database {database:?}: the prepared transaction {gid:?} of the login could not be rolled back; \
                 a superuser can, by `rollback prepared`: {error}"
            ))
        })?;
    }
    Ok(())
}

async fn roll_back_one(admin: &Admin, role: &Shut, database: &str, gid: &str) -> Result<(), EngineError> {
    // The session ends with this visit, and what it is allowed to with it.
    let mut visit = admin.visit(database).await?;
    run(&mut visit, format!("set role {}", role.name)).await.map_err(map)?;
    match run(&mut visit, format!("rollback prepared {gid}")).await {
        // Somebody else ended it.
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42704")) => Ok(()),
        done => done.map_err(map),
    }
}

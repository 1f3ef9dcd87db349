//! Prepared transactions of a login: they outlive its sessions, hold its locks for ever, and need no login to stand.
//!
//! A login can even keep itself open by one that has changed its own role, and give that one away: it belongs to whatever role its
//! session acted as in the end. Only the owner or a superuser may end one, and only in the database where it began. The administrator
//! is a member of the login's role by then, and through it of all that the login could act as; so it ends them in the owner's name.

use sqlx::{PgConnection, Row as _};

use super::EngineError;
use super::admin::{Admin, map, run};
use super::remove::Shut;

/// Rolls back, in whatever database they are, those that the role owns, those that hold the role itself, and the one that a session
/// of ours with the process id `waiting` waits for while it changes the role.
pub(super) async fn roll_back(
    home: &mut PgConnection,
    admin: &Admin,
    role: &Shut,
    waiting: Option<i32>,
) -> Result<(), EngineError> {
    let rows = sqlx::query(
        "select p.database::text, p.gid, quote_literal(p.gid), quote_ident(coalesce(p.owner, current_user)::text) \
         from pg_prepared_xacts p left join pg_roles r on r.rolname = p.owner \
         where r.oid = $1::int8::oid or exists (select from pg_locks l join pg_locks own using (virtualtransaction) \
         where l.pid is null and l.locktype = 'object' and l.database = 0 and l.classid = 'pg_authid'::regclass \
         and l.objid = $1::int8::oid and own.pid is null and own.transactionid = p.transaction) \
         or exists (select from pg_locks l where l.transactionid = p.transaction and l.pid = $2 and not l.granted) \
         order by p.prepared",
    )
    .bind(role.oid)
    .bind(waiting)
    .fetch_all(home)
    .await
    .map_err(map)?;
    for row in rows {
        let database: String = row.try_get(0).map_err(map)?;
        let gid: String = row.try_get(1).map_err(map)?;
        let quoted: String = row.try_get(2).map_err(map)?;
        let owner: String = row.try_get(3).map_err(map)?;
        roll_back_one(admin, &owner, &database, &quoted).await.map_err(|error| {
            EngineError::TargetRefused(format!(
                "in database {database:?}: the prepared transaction {gid:?} of the login could not be rolled back; \
                 a superuser can, by `rollback prepared`: {error}"
            ))
        })?;
    }
    Ok(())
}

async fn roll_back_one(admin: &Admin, owner: &str, database: &str, gid: &str) -> Result<(), EngineError> {
    // The session ends with this visit, and what it is allowed to with it.
    let mut visit = admin.visit(database).await?;
    run(&mut visit, format!("set role {owner}")).await.map_err(map)?;
    match run(&mut visit, format!("rollback prepared {gid}")).await {
        // Somebody else ended it.
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42704")) => Ok(()),
        done => done.map_err(map),
    }
}

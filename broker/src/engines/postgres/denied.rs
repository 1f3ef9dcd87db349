//! A server that says no where somebody can help.

use sqlx::PgConnection;

use super::EngineError;
use super::admin::map;

/// What the server said to a change of this role, with the remedy where it is known: from PostgreSQL 16 on an administrator that is no
/// superuser changes the roles that it made itself, or was given.
pub(super) async fn denied(home: &mut PgConnection, oid: i64, error: sqlx::Error) -> EngineError {
    let is_denied = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42501"));
    let error = map(error);
    let EngineError::TargetRefused(text) = &error else { return error };
    if !is_denied {
        return error;
    }
    let grant: Result<Option<String>, _> = sqlx::query_scalar(
        "select format('grant %I to %I with admin option', rolname, current_user) from pg_roles where oid = $1::int8::oid \
         and current_setting('server_version_num')::int4 >= 160000 and not pg_has_role(oid, 'member with admin option')",
    )
    .bind(oid)
    .fetch_optional(home)
    .await;
    match grant {
        Ok(Some(grant)) => EngineError::TargetRefused(format!("{text}; a superuser puts it into Daypass's hands by `{grant}`")),
        // Whatever was asked on top, this is what stands in the way.
        _ => error,
    }
}

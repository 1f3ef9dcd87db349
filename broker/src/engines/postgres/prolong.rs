//! Letting a login last longer.

use std::time::Duration;

use sqlx::Row as _;
use time::OffsetDateTime;

use super::EngineError;
use super::admin::{Admin, LIMITS, map, run};
use super::create::literal;
use crate::system::System;

/// How long the target may take.
const WHOLE: Duration = Duration::from_secs(5);

/// Moves the end of the login to `until`, unless it is later already: of two that do this at once the later end holds. A login
/// that is gone or shut stays so.
pub(super) async fn prolong(system: &System, admin: &Admin, role: &str, until: OffsetDateTime) -> Result<(), EngineError> {
    let work = async |home: &mut sqlx::PgConnection| {
        let row = sqlx::query(
            "select quote_ident($1), clock_timestamp(), quote_literal($1), r.rolcanlogin \
             from (values (1)) as one left join pg_roles r on r.rolname = $1::text",
        )
        .bind(role)
        .fetch_one(&mut *home)
        .await
        .map_err(map)?;
        let name: String = row.try_get(0).map_err(map)?;
        let clock: OffsetDateTime = row.try_get(1).map_err(map)?;
        let text: String = row.try_get(2).map_err(map)?;
        if row.try_get::<Option<bool>, _>(3).map_err(map)? != Some(true) {
            return Err(EngineError::TargetRefused("the login is not there any more".to_owned()));
        }
        let end = literal(until + (clock - system.now()))?;
        let script = format!(
            "{LIMITS}do $daypass$ begin \
             if exists (select from pg_roles where rolname = {text} and rolvaliduntil < {end}::timestamptz) then \
             alter role {name} valid until {end}; end if; end $daypass$;\n"
        );
        run(home, script).await.map_err(map)
    };
    admin.within(WHOLE, work).await
}

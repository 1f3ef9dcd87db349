//! Logins that stand on a target under names of this installation, whether or not a lease still knows of them.
//!
//! The prefix with the deployment's tag is what makes a login ours: nothing else is listed, so nothing else is ever shut or
//! dropped. Roles belong to the whole server, so connections to several databases of it list the same logins.

use std::time::Duration;

use domain::secret::Secret;
use sqlx::Row as _;
use time::OffsetDateTime;

use super::admin::{Admin, LIMITS, map, run};
use super::denied::denied;
use super::remove::{Shut, is_locked};
use super::{EngineError, Found, Handle};
use crate::engines::login::lease_of;
use crate::system::System;

/// How long a look, or shutting one login, may take.
const WHOLE: Duration = Duration::from_secs(15);

/// Every login of the deployment.
pub(super) async fn list(system: &System, admin: &Admin, connection: &str, deployment: &str) -> Result<Vec<Found>, EngineError> {
    let rows = admin
        .within(WHOLE, async |home| {
            sqlx::query(
                "select rolname::text, rolcanlogin, case when isfinite(rolvaliduntil) then rolvaliduntil end, clock_timestamp() from pg_roles \
                 where starts_with(rolname::text, $1) order by rolname",
            )
            .bind(format!("dp_{deployment}_"))
            .fetch_all(home)
            .await
            .map_err(map)
        })
        .await?;
    let now = system.now();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get(0).map_err(map)?;
        // No statement set is named and no deadline lies ahead: what is left of the login is dropped, and nothing waits.
        let handle = Handle {
            connection: connection.to_owned(),
            role: name.clone(),
            statements: String::new(),
            databases: Vec::new(),
            deadline: OffsetDateTime::UNIX_EPOCH,
        };
        let (ends_at, clock): (Option<OffsetDateTime>, OffsetDateTime) =
            (row.try_get(2).map_err(map)?, row.try_get(3).map_err(map)?);
        found.push(Found {
            lease: lease_of(deployment, &name),
            open: row.try_get(1).map_err(map)?,
            ends_at: ends_at.map(|ends_at| ends_at - (clock - now)),
            keeps_end: true,
            handle: Secret::new(serde_json::to_vec(&handle).map_err(|error| EngineError::Fault(error.into()))?),
            name,
        });
    }
    Ok(found)
}

/// Shuts the login and ends its sessions. Its password stays: until it is dropped, an administrator can open it again.
pub(super) async fn shut(admin: &Admin, role: &str) -> Result<bool, EngineError> {
    admin
        .within(WHOLE, async |home| {
            let row = sqlx::query("select quote_ident(rolname), oid::int8 from pg_roles where rolname = $1")
                .bind(role)
                .fetch_optional(&mut *home)
                .await
                .map_err(map)?;
            let Some(row) = row else { return Ok(false) };
            let shut = Shut { name: row.try_get(0).map_err(map)?, oid: row.try_get(1).map_err(map)?, tombstone: false };
            let shutting = format!("{LIMITS}alter role {} nologin;", shut.name);
            let mut done = run(home, shutting.clone()).await;
            if done.as_ref().is_err_and(is_locked) {
                done = shut.run_past_sessions(home, admin, shutting).await?;
            }
            if let Err(error) = done {
                return Err(if is_locked(&error) { map(error) } else { denied(home, shut.oid, error).await });
            }
            shut.join(home).await?;
            shut.end_sessions(home).await?;
            Ok(true)
        })
        .await
}

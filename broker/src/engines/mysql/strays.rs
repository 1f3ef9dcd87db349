//! Logins that stand on a target under names of this installation, whether or not a lease still knows of them.
//!
//! The prefix with the deployment's tag, and the host `%`, are what makes an account ours: nothing else is listed, so nothing else
//! is ever shut or dropped. The administrator may not read whether an account is locked, because the passwords stand beside that; so a
//! mark that it may read tells of each that was shut here.

use std::time::Duration;

use domain::credentials::database::CEILING;
use domain::secret::Secret;
use sqlx::mysql::MySqlConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::admin::{Admin, map, run};
use super::create::account;
use super::remove::{Mark, ending, mark};
use super::{EngineError, Found, Handle};
use crate::engines::login::lease_of;

/// How long a look, or shutting one login, may take.
const WHOLE: Duration = Duration::from_secs(15);

/// Every login of the deployment.
pub(super) async fn list(admin: &Admin, connection: &str, deployment: &str) -> Result<Vec<Found>, EngineError> {
    let prefix = format!("dp_{deployment}_");
    let rows = admin
        .within(WHOLE, async |home, _| {
            let rows: Vec<(String, i64)> = sqlx::query_as(
                "select cast(convert(user using utf8mb4) as char), cast(max_questions as signed) from mysql.user \
                 where host = '%' and left(user, char_length(?)) = ? order by user",
            )
            .bind(&prefix)
            .bind(&prefix)
            .fetch_all(home)
            .await
            .map_err(map)?;
            Ok(rows)
        })
        .await?;
    rows.into_iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, mark)| found(connection, deployment, name, mark))
        .collect()
}

fn found(connection: &str, deployment: &str, name: String, mark: i64) -> Result<Found, EngineError> {
    // No statement set is named and no deadline lies ahead: what is left of the login is dropped, and nothing waits.
    let handle = Handle {
        connection: connection.to_owned(),
        user: name.clone(),
        statements: String::new(),
        deadline: OffsetDateTime::UNIX_EPOCH,
    };
    let lease = lease_of(deployment, &name);
    Ok(Found {
        lease,
        open: Mark::of(mark) == Mark::Open,
        ends_at: lease.and_then(ends_at),
        keeps_end: false,
        handle: Secret::new(serde_json::to_vec(&handle).map_err(|error| EngineError::Fault(error.into()))?),
        name,
    })
}

/// These servers keep no end by the minute. A lease knows when it was made, and none lasts longer than the engine allows.
fn ends_at(lease: Uuid) -> Option<OffsetDateTime> {
    let (seconds, _) = lease.get_timestamp()?.to_unix();
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?.checked_add(CEILING.try_into().ok()?)
}

/// Locks the account and ends its sessions. Its password stays: until it is dropped, an administrator can open it again.
pub(super) async fn shut(admin: &Admin, user: &str) -> Result<bool, EngineError> {
    admin.within(WHOLE, async |home, _| shut_with(home, user).await).await
}

async fn shut_with(home: &mut MySqlConnection, user: &str) -> Result<bool, EngineError> {
    let Some(found) = mark(home, user).await? else { return Ok(false) };
    // What holds a name must go on saying so.
    let marked = if found == Mark::Tombstone { found } else { Mark::Shut };
    let locking = format!("alter user {} with max_queries_per_hour {} account lock", account(user), marked.queries_per_hour());
    run(home, locking).await.map_err(map)?;
    ending(home, user).await?.end_sessions(home).await?;
    Ok(true)
}

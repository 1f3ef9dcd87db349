//! Sessions with a target's administrator: one pool for each connection, lent for so long and no longer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Database;
use sqlx::pool::{Pool, PoolConnection};

use super::engine::EngineError;
use crate::store::Connection;

/// One administrator for each connection, of its last version.
#[derive(Debug)]
pub(super) struct Pools<A>(Mutex<HashMap<String, (i64, A)>>);

impl<A> Default for Pools<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Clone> Pools<A> {
    /// The administrator of this version of the connection, made anew where the connection has changed.
    pub(super) fn admin(&self, connection: &Connection, make: impl FnOnce() -> Result<A, EngineError>) -> Result<A, EngineError> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, admin)) = pools.get(&connection.name)
            && *version == connection.version
        {
            return Ok(admin.clone());
        }
        let admin = make()?;
        // The pool before this one closes when the last operation that holds it ends.
        pools.insert(connection.name.clone(), (connection.version, admin.clone()));
        Ok(admin)
    }
}

/// A session of the pool. One that was given up in the middle of an answer is closed instead of going back.
struct Lent<DB: Database> {
    session: PoolConnection<DB>,
    answered: bool,
}

impl<DB: Database> Drop for Lent<DB> {
    fn drop(&mut self) {
        if !self.answered {
            self.session.close_on_drop();
        }
    }
}

/// Does `work` with a session of the pool within `limit`. `map` tells whose fault an error is.
pub(super) async fn within<DB: Database, T>(
    pool: &Pool<DB>,
    map: fn(sqlx::Error) -> EngineError,
    limit: Duration,
    work: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let start = tokio::time::Instant::now();
    let late = || EngineError::TargetUnavailable(format!("it did not answer within {} s", limit.as_secs()));
    let mut home = match tokio::time::timeout(limit, pool.acquire()).await {
        Ok(home) => Lent { session: home.map_err(map)?, answered: false },
        Err(_) => return Err(late()),
    };
    let done = tokio::time::timeout_at(start + limit, work(&mut home.session)).await;
    home.answered = done.is_ok();
    done.unwrap_or_else(|_| Err(late()))
}

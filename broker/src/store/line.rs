//! One connection of a task's own, made anew when it was lost.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

/// How long a silent connection is trusted without asking.
const TRUSTED: Duration = Duration::from_secs(5);
const CONNECTING: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Line {
    target: PgConnectOptions,
    connection: Option<PgConnection>,
    used_at: Instant,
}

impl Line {
    pub(super) fn new(target: PgConnectOptions) -> Self {
        Self { target, connection: None, used_at: Instant::now() }
    }

    /// The connection. Fails when the database does not answer in time.
    pub(super) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.used_at.elapsed() > TRUSTED
            && let Some(connection) = &mut self.connection
            && !matches!(timeout(CONNECTING, connection.ping()).await, Ok(Ok(())))
        {
            self.connection = None;
        }
        self.used_at = Instant::now();
        match &mut self.connection {
            Some(connection) => Ok(connection),
            empty => Ok(empty.insert(connect(&self.target).await?)),
        }
    }

    /// The connection is no good any more.
    pub(super) fn lose(&mut self) {
        self.connection = None;
    }

    pub(super) async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            // The server notices an abrupt end as well.
            let _ = connection.close().await;
        }
    }
}

/// A connection to `target`, or the reason why there is none, in time.
pub(super) async fn connect(target: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    in_time(CONNECTING, PgConnection::connect_with(target)).await
}

/// What `work` comes to, or an error of the line after `limit`: a server that was cut off never answers.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

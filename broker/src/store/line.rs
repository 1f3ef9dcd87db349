//! One connection of a task's own, made anew when it was lost.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

use super::servers::Servers;

/// How long a silent connection is trusted without asking.
const TRUSTED: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Line {
    servers: Servers,
    connection: Option<PgConnection>,
    made_at: Instant,
    used_at: Instant,
}

impl Line {
    pub(super) fn new(servers: Servers) -> Self {
        Self { servers, connection: None, made_at: Instant::now(), used_at: Instant::now() }
    }

    /// The connection, to the server that takes writes. Fails when none answers in time.
    pub(super) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        if self.servers.have_moved_since(self.made_at.elapsed()) {
            self.connection = None;
        }
        if self.used_at.elapsed() > TRUSTED
            && let Some(connection) = &mut self.connection
            && self.servers.admit(connection).await.is_err()
        {
            self.connection = None;
        }
        self.used_at = Instant::now();
        match &mut self.connection {
            Some(connection) => Ok(connection),
            empty => {
                let connection = self.servers.connect().await?;
                self.made_at = Instant::now();
                Ok(empty.insert(connection))
            }
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

/// What `work` comes to, or an error of the line after `limit`: a server that was cut off never answers.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

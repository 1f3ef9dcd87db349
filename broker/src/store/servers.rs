//! The servers that the database may be on: one, or a primary with its standbys.
//!
//! Whoever needs a connection gets one to the server that takes writes. When that one is lost the others are asked, all at the
//! same time, and every part of this process moves together: connections that were made before the move are not used again.
//! Of two servers that both take writes the one on the later timeline is right: the other was primary once and has not been
//! told. Once a timeline was seen, no server of an earlier one is believed any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::line::in_time;

/// How long a server may take to be connected to.
const CONNECTING: Duration = Duration::from_secs(3);
/// How long one may take to say how it stands.
const ASKING: Duration = Duration::from_secs(2);
/// How long the others may still answer when one that takes writes has been found.
const OTHERS: Duration = Duration::from_millis(250);
/// How often the primary is asked whether it still is.
const WATCH: Duration = Duration::from_secs(1);

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Servers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    targets: Vec<PgConnectOptions>,
    believed: watch::Sender<Believed>,
    doubt: Notify,
}

/// Which server is the primary, as far as this process knows.
#[derive(Clone, Copy, Debug)]
struct Believed {
    at: usize,
    timeline: u32,
    /// Since when, after a move.
    moved: Option<Instant>,
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug)]
struct Standing {
    writable: bool,
    /// 0 where nobody compares it.
    timeline: u32,
}

impl Servers {
    /// These servers, the likeliest first.
    pub(super) fn of(targets: Vec<PgConnectOptions>) -> Self {
        let (believed, _) = watch::channel(Believed { at: 0, timeline: 0, moved: None });
        Self(Arc::new(Inner { targets, believed, doubt: Notify::new() }))
    }

    /// Where new connections go.
    pub(super) fn current(&self) -> Result<&PgConnectOptions, sqlx::Error> {
        let at = self.0.believed.borrow().at;
        self.0.targets.get(at).ok_or_else(|| sqlx::Error::Configuration("no server is named".into()))
    }

    /// A connection to the primary, or the reason why there is none, in time.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        // At first all are asked: the one that comes first may be one that was left behind.
        if self.are_several() && self.0.believed.borrow().timeline == 0 {
            return self.find().await;
        }
        let connected = async {
            let mut connection = connect(self.current()?).await?;
            self.admit(&mut connection).await?;
            Ok(connection)
        };
        match connected.await {
            Err(_) if self.are_several() => self.find().await,
            other => other,
        }
    }

    /// Fails unless this connection's server takes writes, and is not one that was left behind.
    pub(super) async fn admit(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let admitted = match self.look(connection).await {
            Ok(Standing { writable: false, .. }) => Err(other("this server takes no writes: it is a standby")),
            Ok(standing) => self.believe_no_earlier(standing.timeline),
            Err(error) => Err(error),
        };
        if admitted.is_err() {
            self.0.doubt.notify_one();
        }
        admitted
    }

    /// Whether what is this old was made before the last move.
    pub(super) fn have_moved_since(&self, age: Duration) -> bool {
        self.0.believed.borrow().moved.is_some_and(|moved| moved.elapsed() < age)
    }

    /// Whether a connection of this age that comes back can be used again. One that nobody waits for any more, because its server
    /// was cut off, must not wait on for ever and keep its place.
    pub(super) async fn takes_back(&self, connection: &mut PgConnection, age: Duration) -> Result<bool, sqlx::Error> {
        if self.have_moved_since(age) {
            return Ok(false);
        }
        in_time(ASKING, connection.flush()).await.map(|()| true)
    }

    /// What `work` comes to; an error of the line after `limit`, or when the database has moved to another server meanwhile.
    pub(super) async fn while_here<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let mut believed = self.0.believed.subscribe();
        tokio::select! {
            done = in_time(limit, work) => done,
            Ok(()) = believed.changed() => Err(other("the database has moved to another server")),
        }
    }

    /// Keeps `pool` on the primary until `stop`, and notices when that is another one. One server needs no watching: what
    /// there is to notice shows when it is used.
    pub(super) async fn watch(self, pool: PgPool, stop: CancellationToken) {
        let (mut believed, mut line) = (self.0.believed.subscribe(), None);
        while self.are_several() {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = believed.changed() => line = None,
                () = self.0.doubt.notified() => {}
                () = tokio::time::sleep(WATCH) => {}
            }
            let still = match &mut line {
                Some(connection) => self.look(connection).await.is_ok_and(|standing| standing.writable),
                None => false,
            };
            if !still {
                line = tokio::select! {
                    () = stop.cancelled() => return,
                    found = self.find() => found.ok(),
                };
            }
            believed.mark_unchanged();
            if let Ok(target) = self.current() {
                pool.set_connect_options(target.clone());
            }
            if line.is_none() {
                // Nobody is the primary at the moment; who doubts that meanwhile learns nothing new.
                tokio::time::sleep(OTHERS).await;
            }
        }
    }

    /// Asks all servers, and moves to the one that takes writes.
    async fn find(&self) -> Result<PgConnection, sqlx::Error> {
        let mut asked = JoinSet::new();
        for (at, target) in self.0.targets.iter().cloned().enumerate() {
            let servers = self.clone();
            asked.spawn(async move {
                let mut connection = connect(&target).await?;
                let standing = servers.look(&mut connection).await?;
                Ok::<_, sqlx::Error>((at, standing, connection))
            });
        }
        let mut best: Option<(usize, Standing, PgConnection)> = None;
        let mut why = other("none of the servers is the primary");
        loop {
            let patience = if best.is_some() { OTHERS } else { CONNECTING + ASKING };
            match tokio::time::timeout(patience, asked.join_next()).await {
                Ok(Some(Ok(Ok(found)))) if found.1.writable => {
                    let later = |held: &Standing| found.1.timeline > held.timeline;
                    if best.as_ref().is_none_or(|(_, held, _)| later(held)) {
                        best = Some(found);
                    }
                }
                Ok(Some(Ok(Err(error)))) => why = error,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        let Some((at, standing, connection)) = best else { return Err(why) };
        self.believe_no_earlier(standing.timeline)?;
        self.0.believed.send_if_modified(|believed| {
            let moves = believed.at != at;
            if moves {
                (believed.at, believed.moved) = (at, Some(Instant::now()));
                let server = self.0.targets.get(at).map_or("", PgConnectOptions::get_host);
                tracing::warn!(server, timeline = believed.timeline, "the database is on another server now");
            }
            moves
        });
        Ok(connection)
    }

    /// Remembers the latest timeline, and fails where this one is earlier.
    fn believe_no_earlier(&self, timeline: u32) -> Result<(), sqlx::Error> {
        let mut left_behind = false;
        self.0.believed.send_if_modified(|believed| {
            left_behind = timeline < believed.timeline;
            believed.timeline = believed.timeline.max(timeline);
            false
        });
        if left_behind { Err(other("this server was left behind: the database has gone on elsewhere")) } else { Ok(()) }
    }

    async fn look(&self, connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
        if !self.are_several() {
            let asked = sqlx::query_scalar!(r#"select current_setting('transaction_read_only') = 'off' as "writable!""#);
            return Ok(Standing { writable: in_time(ASKING, asked.fetch_one(connection)).await?, timeline: 0 });
        }
        // The name of a file of the log begins with the timeline that is written to.
        let asked = sqlx::query!(
            r#"select current_setting('transaction_read_only') = 'off' as "writable!",
                      case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline"#
        );
        let row = in_time(ASKING, asked.fetch_one(connection)).await?;
        let timeline = row.timeline.and_then(|timeline| u32::from_str_radix(&timeline, 16).ok()).unwrap_or(0);
        Ok(Standing { writable: row.writable, timeline })
    }

    fn are_several(&self) -> bool {
        self.0.targets.len() > 1
    }
}

async fn connect(target: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    in_time(CONNECTING, PgConnection::connect_with(target)).await
}

/// An error of the line: trying again can help.
fn other(what: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(what.to_owned()))
}

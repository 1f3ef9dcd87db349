//! The group reader: what waits to be read at the same moment is read by one statement, and what several wait for is read
//! once. The statement begins after the last of them has asked, so each sees everything that was committed before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::panics;
use crate::store::StoreError;
use crate::store::line::{Line, in_time};
use crate::store::servers::Servers;

const BATCH: usize = 64;
const WAITING: usize = 1024;

/// A version of a secret; the current one unless told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Which {
    pub(super) mount: String,
    pub(super) path: String,
    pub(super) version: Option<i32>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) version: i32,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) created_at: OffsetDateTime,
    pub(super) deleted_at: Option<OffsetDateTime>,
}

type Answer = Result<Option<Arc<Row>>, StoreError>;

#[derive(Debug)]
struct Ask {
    which: Which,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(super) struct Handle {
    sender: mpsc::Sender<Ask>,
    closing: CancellationToken,
    task: TaskTracker,
}

impl Handle {
    pub(super) async fn read(&self, which: Which) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Ask { which, answer }).await.map_err(|_| StoreError::Stopped)?;
        answered.await.map_err(|_| StoreError::Stopped)?
    }

    /// Answers those who wait and closes the connection.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.close();
        self.task.wait().await;
    }
}

/// Starts the task; it ends when the last handle is gone.
pub(super) fn start(servers: Servers, patience: Duration) -> Handle {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (closing, task) = (CancellationToken::new(), TaskTracker::new());
    task.spawn(run(Line::new(servers), patience, receiver, closing.clone()));
    Handle { sender, closing, task }
}

async fn run(mut line: Line, patience: Duration, mut receiver: mpsc::Receiver<Ask>, closing: CancellationToken) {
    while let Err(panic) = Box::pin(panics::caught(serve(&mut line, patience, &mut receiver, &closing))).await {
        tracing::error!(panic, "the reader of stored secrets panicked and goes on; this is a defect");
        line.lose();
    }
    line.close().await;
}

async fn serve(line: &mut Line, patience: Duration, receiver: &mut mpsc::Receiver<Ask>, closing: &CancellationToken) {
    let mut asks = Vec::with_capacity(BATCH);
    loop {
        let taken = tokio::select! {
            taken = receiver.recv_many(&mut asks, BATCH) => taken,
            () = closing.cancelled(), if !receiver.is_closed() => {
                receiver.close();
                continue;
            }
        };
        if taken == 0 {
            break;
        }
        let mut waiting: HashMap<Which, Vec<oneshot::Sender<Answer>>> = HashMap::new();
        for ask in asks.drain(..) {
            waiting.entry(ask.which).or_default().push(ask.answer);
        }
        answer(line, patience, waiting).await;
    }
}

async fn answer(line: &mut Line, patience: Duration, waiting: HashMap<Which, Vec<oneshot::Sender<Answer>>>) {
    let (which, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    let mut found = in_time(patience, read(line, &which)).await;
    if found.is_err() {
        // Reading changes nothing, so a connection that was lost costs a second try and no answer.
        line.lose();
        found = in_time(patience, read(line, &which)).await;
    }
    match found {
        Ok(rows) => {
            for (row, waiting) in rows.into_iter().zip(waiting) {
                // Whoever has gone away needs no answer.
                for answer in waiting {
                    drop(answer.send(Ok(row.clone())));
                }
            }
        }
        Err(error) => {
            line.lose();
            tracing::error!(%error, "stored secrets cannot be read");
            for answer in waiting.into_iter().flatten() {
                drop(answer.send(Err(StoreError::from(sqlx::Error::Io(std::io::Error::other(error.to_string()))))));
            }
        }
    }
}

/// The rows of `which`, in its order.
async fn read(line: &mut Line, which: &[Which]) -> Result<Vec<Option<Arc<Row>>>, sqlx::Error> {
    let connection = line.get().await?;
    let numbers: Vec<i32> = (0..).take(which.len()).collect();
    let mounts: Vec<&str> = which.iter().map(|which| which.mount.as_str()).collect();
    let paths: Vec<&str> = which.iter().map(|which| which.path.as_str()).collect();
    let versions: Vec<Option<i32>> = which.iter().map(|which| which.version).collect();
    let found = sqlx::query!(
        r#"select a.n as "n!", v.version, v.sealed, v.created_at, v.deleted_at
           from unnest($1::integer[], $2::text[], $3::text[], $4::integer[]) as a (n, mount, path, version)
           join daypass.secrets s on s.mount = a.mount and s.path = a.path
           join daypass.secret_versions v
               on v.mount = s.mount and v.path = s.path and v.version = coalesce(a.version, s.current)"#,
        &numbers,
        &mounts as _,
        &paths as _,
        &versions as _
    )
    .fetch_all(connection)
    .await?;
    let mut rows = vec![None; which.len()];
    for row in found {
        if let Some(place) = usize::try_from(row.n).ok().and_then(|n| rows.get_mut(n)) {
            let (version, created_at, deleted_at) = (row.version, row.created_at, row.deleted_at);
            *place = Some(Arc::new(Row { version, sealed: row.sealed, created_at, deleted_at }));
        }
    }
    Ok(rows)
}

//! Taking a login back.
//!
//! First the account is locked and its sessions ended: from there on nobody is in. Then come the revoking statements of its set and the
//! drop, which may fail and are tried again later: the lease is then *fenced*. Sessions outlive the account that they logged in with,
//! so they are looked for once more when it is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use tokio::time::Instant;

use super::admin::{Admin, Kind, map, number, run};
use super::create::{account, identified, password};
use super::settings::Settings;
use super::statement::fill;
use super::{EngineError, Handle, Revoked};
use crate::failpoint;
use crate::system::System;

/// How long after the deadline a name is still held: replicas' clocks may differ, and a create that the server began in time may
/// wait for locks for three seconds.
const DEADLINE_MARGIN: time::Duration = time::Duration::seconds(10);
/// How long one attempt may take.
const WHOLE: Duration = Duration::from_secs(25);
/// How long to wait for sessions to end.
const SESSIONS: Duration = Duration::from_secs(8);
/// How long a login that had begun before the account was locked may go on before it is ended.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// Reading an account and locking it can be crossed by another worker this often.
const ROUNDS: usize = 4;

/// What our accounts are marked with: how many queries they may make in an hour, because every administrator may read that. A login
/// that is handed out has no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    /// It only holds a name.
    Tombstone,
    /// It was shut, and its lease or the reconciler says what comes next.
    Shut,
}

impl Mark {
    pub(super) const fn of(queries_per_hour: i64) -> Self {
        match queries_per_hour {
            1 => Self::Tombstone,
            2 => Self::Shut,
            _ => Self::Open,
        }
    }

    pub(super) const fn queries_per_hour(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Tombstone => 1,
            Self::Shut => 2,
        }
    }
}

/// Removes the account and everything of it, as far as it goes.
pub(super) async fn remove(system: &System, admin: &Admin, settings: &Settings, handle: &Handle) -> Result<Revoked, EngineError> {
    admin.within(WHOLE, async |home, kind| remove_with(home, kind, system, settings, handle).await).await
}

async fn remove_with(
    home: &mut MySqlConnection,
    kind: Kind,
    system: &System,
    settings: &Settings,
    handle: &Handle,
) -> Result<Revoked, EngineError> {
    let shut = shut(home, kind, system, &handle.user).await?;
    let held_until = handle.deadline + DEADLINE_MARGIN;
    if shut.tombstone && system.now() <= held_until {
        return Ok(Revoked::Held(held_until));
    }
    shut.end_sessions(home).await?;
    failpoint::pass("revoke::after_shut").await.map_err(|error| EngineError::Fault(error.into()))?;
    match tidy(home, settings, handle, &shut).await {
        Ok(()) => Ok(Revoked::Gone),
        Err(error) => Ok(Revoked::Fenced(error.to_string())),
    }
}

/// An account that nobody can log in to.
pub(super) struct Shut<'a> {
    user: &'a str,
    tombstone: bool,
    /// Sessions that had not said who they are when it was locked: one of them may have been let in by what the account was.
    begun: BTreeSet<i64>,
}

/// Locks the account, or plants a locked one in its place so that a late create cannot take the name. Either way its password is one
/// that nobody knows: were it unlocked by a create that is still under way, it would open to no one.
async fn shut<'a>(home: &mut MySqlConnection, kind: Kind, system: &System, user: &'a str) -> Result<Shut<'a>, EngineError> {
    let account = account(user);
    let mut last = None;
    for _ in 0..ROUNDS {
        let dead = identified(kind, &password(system)?);
        let found = mark(home, user).await?;
        let statement = match found {
            Some(_) => format!("alter user {account} {} account lock", dead.expose()),
            None => format!(
                "create user {account} {} with max_queries_per_hour {} account lock",
                dead.expose(),
                Mark::Tombstone.queries_per_hour()
            ),
        };
        match run(home, statement).await {
            Ok(()) if found.is_some() => {
                return Ok(Shut { tombstone: found == Some(Mark::Tombstone), ..ending(home, user).await? });
            }
            // Planted: read it back.
            Ok(()) => {}
            // A create was there first, or another worker: look again.
            Err(error) if number(&error) == Some(1396) => last = Some(error),
            // Something of its own may hold it up, such as a global read lock.
            Err(error) if matches!(number(&error), Some(1205 | 1969 | 3024)) => {
                last = Some(error);
                Shut { user, tombstone: false, begun: BTreeSet::new() }.kill(home).await?;
            }
            Err(error) => return Err(map(error)),
        }
    }
    // The target answers; it is this account alone that does not come free, and the others' turn need not wait for it.
    Err(EngineError::TargetRefused(last.map_or_else(|| "the account keeps changing".to_owned(), |error| map(error).to_string())))
}

/// An account that was locked a moment ago, with the logins that had begun before that.
pub(super) async fn ending<'a>(home: &mut MySqlConnection, user: &'a str) -> Result<Shut<'a>, EngineError> {
    let begun = sessions(home, user).await?.into_iter().filter(|session| !session.is_ours).map(|session| session.id);
    Ok(Shut { user, tombstone: false, begun: begun.collect() })
}

/// What the account is marked with, if there is one.
pub(super) async fn mark(home: &mut MySqlConnection, user: &str) -> Result<Option<Mark>, EngineError> {
    sqlx::query_scalar("select cast(max_questions as signed) from mysql.user where user = ? and host = '%'")
        .bind(user)
        .fetch_optional(home)
        .await
        .map(|mark| mark.map(Mark::of))
        .map_err(map)
}

struct Session {
    id: i64,
    is_ours: bool,
}

/// The sessions of the user, and those that have not said who they are.
async fn sessions(home: &mut MySqlConnection, user: &str) -> Result<Vec<Session>, EngineError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select cast(id as signed), cast(user = ? as signed) from information_schema.processlist \
         where user = ? or user = 'unauthenticated user'",
    )
    .bind(user)
    .bind(user)
    .fetch_all(home)
    .await
    .map_err(map)?;
    Ok(rows.into_iter().map(|(id, is_ours)| Session { id, is_ours: is_ours == 1 }).collect())
}

impl Shut<'_> {
    /// Ends its sessions until none is left, and none can come of a login that had begun.
    pub(super) async fn end_sessions(&self, home: &mut MySqlConnection) -> Result<(), EngineError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            let left = sessions(home, self.user).await?;
            let left = left.into_iter().filter(|session| session.is_ours || self.begun.contains(&session.id));
            let left: Vec<_> = left.collect();
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > SESSIONS {
                return Err(EngineError::TargetRefused("its sessions do not end".to_owned()));
            }
            for session in left {
                // Others' logins get the time that an honest one takes.
                if session.is_ours || began.elapsed() > HANDSHAKE {
                    end(home, session.id).await?;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Asks its sessions to end.
    async fn kill(&self, home: &mut MySqlConnection) -> Result<(), EngineError> {
        for session in sessions(home, self.user).await?.into_iter().filter(|session| session.is_ours) {
            end(home, session.id).await?;
        }
        Ok(())
    }
}

/// Ends a session. `hard` makes MariaDB end also what would rather finish, such as a repair.
async fn end(home: &mut MySqlConnection, id: i64) -> Result<(), EngineError> {
    match run(home, format!("kill /*M! hard */ connection {id}")).await {
        Ok(()) => Ok(()),
        // It ended by itself.
        Err(error) if number(&error) == Some(1094) => Ok(()),
        Err(error) => Err(map(error)),
    }
}

async fn tidy(home: &mut MySqlConnection, settings: &Settings, handle: &Handle, shut: &Shut<'_>) -> Result<(), EngineError> {
    let account = account(shut.user);
    if !shut.tombstone {
        for statement in settings.revoking(&handle.statements) {
            run(home, fill(statement, &account)).await.map_err(map)?;
        }
    }
    run(home, format!("drop user if exists {account}")).await.map_err(map)?;
    shut.end_sessions(home).await?;
    if mark(home, shut.user).await?.is_some() {
        return Err(EngineError::TargetRefused("the account is still there after it was dropped".to_owned()));
    }
    Ok(())
}

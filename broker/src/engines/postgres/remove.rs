//! Taking a login back.
//!
//! First the login is shut and its sessions ended: from there on nobody is in. Then comes the tidying, which may fail (an object of
//! somebody else depends on one of the role's, a database refuses the administrator) and is tried again later: the lease is then
//! *fenced*.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{PgConnection, Row as _};

use super::admin::{Admin, LIMITS, map, run};
use super::denied::denied;
use super::prepared;
use super::settings::{Fill, Settings};
use super::{EngineError, Handle, Revoked};
use crate::failpoint;
use crate::system::System;

/// How long after the deadline a name is still held, so that replicas whose clocks differ agree that nobody creates it any more.
const DEADLINE_MARGIN: time::Duration = time::Duration::seconds(10);
/// How long one attempt may take.
const WHOLE: Duration = Duration::from_secs(25);
/// How long to wait for sessions to end.
const SESSIONS: Duration = Duration::from_secs(5);
/// Begins the comment of a role that only holds a name.
const TOMBSTONE: &str = "daypass tombstone";
/// Reading a role and shutting it can be crossed by another worker this often.
const ROUNDS: usize = 4;
/// How long a session whose end was asked for has before it is asked again, while the role is locked.
const AGAIN: Duration = Duration::from_millis(100);

/// Removes the role and everything of it, as far as it goes.
pub(super) async fn remove(system: &System, admin: &Admin, settings: &Settings, handle: &Handle) -> Result<Revoked, EngineError> {
    admin.within(WHOLE, async |home| remove_with(home, system, admin, settings, handle).await).await
}

async fn remove_with(
    home: &mut PgConnection,
    system: &System,
    admin: &Admin,
    settings: &Settings,
    handle: &Handle,
) -> Result<Revoked, EngineError> {
    let role = shut(home, admin, &handle.role).await?;
    let held_until = handle.deadline + DEADLINE_MARGIN;
    if role.tombstone && system.now() <= held_until {
        return Ok(Revoked::Held(held_until));
    }
    role.join(home).await?;
    role.end_sessions(home).await?;
    failpoint::pass("revoke::after_shut").await.map_err(|error| EngineError::Fault(error.into()))?;
    match tidy(home, admin, settings, handle, &role).await {
        Ok(()) => Ok(Revoked::Gone),
        Err(error) => Ok(Revoked::Fenced(error.to_string())),
    }
}

/// A role that nobody can log in as.
pub(super) struct Shut {
    pub(super) oid: i64,
    /// Quoted by the server.
    pub(super) name: String,
    pub(super) tombstone: bool,
}

/// Shuts the login, or plants a role without login in its place so that a late create cannot take the name.
async fn shut(home: &mut PgConnection, admin: &Admin, role: &str) -> Result<Shut, EngineError> {
    let mut last = None;
    for _ in 0..ROUNDS {
        let row = sqlx::query(
            "select quote_ident($1), r.oid::int8, coalesce(shobj_description(r.oid, 'pg_authid'), '') like $2 \
             from (values (1)) as one left join pg_roles r on r.rolname = $1::text",
        )
        .bind(role)
        .bind(format!("{TOMBSTONE}%"))
        .fetch_one(&mut *home)
        .await
        .map_err(map)?;
        let name: String = row.try_get(0).map_err(map)?;
        let found: Option<i64> = row.try_get(1).map_err(map)?;
        let tombstone: Option<bool> = row.try_get(2).map_err(map)?;
        let Some(oid) = found else {
            let script = format!(
                "{LIMITS}create role {name} nologin;\ncomment on role {name} is '{TOMBSTONE}: holds the name of a login that was never made';"
            );
            match run(home, script).await {
                // Planted: read it back.
                Ok(()) => {}
                // A create was there first, or another worker: look again.
                Err(error) if crossed(&error) => last = Some(error),
                Err(error) => return Err(map(error)),
            }
            continue;
        };
        let role = Shut { oid, name, tombstone: tombstone.unwrap_or(false) };
        let mut done = run(home, role.shutting()).await;
        if done.as_ref().is_err_and(is_locked) {
            done = role.run_past_sessions(home, admin, role.shutting()).await?;
        }
        match done {
            Ok(()) => return Ok(role),
            Err(error) if crossed(&error) || is_locked(&error) => last = Some(error),
            Err(error) => return Err(denied(home, role.oid, error).await),
        }
    }
    // The target answers; it is this role alone that does not come free, and the others' turn need not wait for it.
    Err(EngineError::TargetRefused(last.map_or_else(|| "the role keeps changing".to_owned(), |error| map(error).to_string())))
}

/// Whether somebody holds a lock on the role for longer than we wait. A login can do that to itself: it changes its own
/// password and leaves the transaction open.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Whether somebody else changed the role at the same moment.
fn crossed(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| match error.code().as_deref() {
        // Duplicate object, unique violation, undefined object.
        Some("42710" | "23505" | "42704") => true,
        Some("XX000") => error.message().starts_with("tuple concurrently"),
        _ => false,
    })
}

impl Shut {
    /// The statement that lets nobody in any more.
    fn shutting(&self) -> String {
        format!("{LIMITS}alter role {} nologin password null;", self.name)
    }

    /// Runs a script that shuts a login which is locked, most likely by one of its own sessions: a second session of ours waits for
    /// the lock and is the next to have it, while the login's sessions end, and what they have prepared.
    pub(super) async fn run_past_sessions(
        &self,
        home: &mut PgConnection,
        admin: &Admin,
        script: String,
    ) -> Result<Result<(), sqlx::Error>, EngineError> {
        self.join(home).await?;
        let mut second = admin.visit(admin.database()).await?;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut second).await.map_err(map)?;
        let mut running = std::pin::pin!(run(&mut second, script));
        let mut stuck = None;
        loop {
            // Ours first: the lock must not go to a session of the login that comes anew.
            if let Ok(done) = tokio::time::timeout(AGAIN, &mut running).await {
                return match stuck {
                    Some(error) if done.as_ref().is_err_and(is_locked) => Err(error),
                    _ => Ok(done),
                };
            }
            self.terminate(home).await?;
            // One that does not go need not be the one that is in the way.
            stuck = prepared::roll_back(home, admin, self, Some(pid)).await.err();
        }
    }

    /// Makes the administrator a member, which ending its sessions and dropping what it owns asks for, and acting in its name.
    pub(super) async fn join(&self, home: &mut PgConnection) -> Result<(), EngineError> {
        if self.is_joined(home).await? {
            return Ok(());
        }
        // Before PostgreSQL 16 the administrator's own INHERIT decides.
        let option: &str = sqlx::query_scalar::<_, bool>("select current_setting('server_version_num')::int4 >= 160000")
            .fetch_one(&mut *home)
            .await
            .map(|is_new| if is_new { " with inherit true, set true" } else { "" })
            .map_err(map)?;
        run(home, format!("grant {} to current_user{option}", self.name)).await.map_err(|error| {
            // Before PostgreSQL 15 a login can hold this up by a grant of its own: its affair, not the target's.
            if is_locked(&error) { EngineError::TargetRefused(map(error).to_string()) } else { map(error) }
        })?;
        if self.is_joined(home).await? {
            return Ok(());
        }
        Err(EngineError::TargetRefused(
            "the administrator must be an INHERIT role to end sessions of the roles it made".to_owned(),
        ))
    }

    async fn is_joined(&self, home: &mut PgConnection) -> Result<bool, EngineError> {
        // Before PostgreSQL 16 every member may act in the role's name, and the word `set` is not known.
        let is_joined = "select pg_has_role(current_user, $1::int8::oid, 'usage') and case \
             when current_setting('server_version_num')::int4 >= 160000 then pg_has_role(current_user, $1::int8::oid, 'set') \
             else true end";
        sqlx::query_scalar(is_joined).bind(self.oid).fetch_one(home).await.map_err(map)
    }

    /// Ends its sessions until none is left.
    pub(super) async fn end_sessions(&self, home: &mut PgConnection) -> Result<(), EngineError> {
        let ended = async {
            let mut pause = Duration::from_millis(5);
            loop {
                if self.terminate(home).await? == 0 {
                    return Ok(());
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(200));
            }
        };
        match tokio::time::timeout(SESSIONS, ended).await {
            Ok(ended) => ended,
            Err(_) => Err(EngineError::TargetRefused("its sessions do not end".to_owned())),
        }
    }

    /// Asks its sessions to end. Answers how many there were.
    async fn terminate(&self, home: &mut PgConnection) -> Result<i64, EngineError> {
        sqlx::query_scalar("select count(pg_terminate_backend(pid)) from pg_stat_activity where usesysid = $1::int8::oid")
            .bind(self.oid)
            .fetch_one(home)
            .await
            .map_err(map)
    }
}

async fn tidy(
    home: &mut PgConnection,
    admin: &Admin,
    settings: &Settings,
    handle: &Handle,
    role: &Shut,
) -> Result<(), EngineError> {
    let fill = Fill { name: &role.name, expiration: "'-infinity'" };
    let mut revoking = String::new();
    if !role.tombstone {
        revoking = fill.script(settings.revoking(&handle.statements));
    }
    prepared::roll_back(home, admin, role, None).await?;
    let drop_owned = drop_owned(home, settings, role).await?;
    let runs_at_home = handle.databases.is_empty() || handle.databases.iter().any(|database| database == admin.database());

    let mut others = holders(home, role, if revoking.is_empty() { &[] } else { &handle.databases }).await?;
    others.remove(admin.database());
    for database in others {
        let revoking = if handle.databases.contains(&database) { revoking.as_str() } else { "" };
        let script = script(revoking, &drop_owned);
        let cleared = async { run(&mut admin.visit(&database).await?, script).await.map_err(map) };
        cleared.await.map_err(|error| in_database(&database, &error))?;
    }
    run(home, script(if runs_at_home { &revoking } else { "" }, &drop_owned))
        .await
        .map_err(|error| in_database(admin.database(), &map(error)))?;
    // A session that was just being opened when the login was shut would show by now.
    role.end_sessions(home).await?;
    run(home, format!("{LIMITS}drop role if exists {};", role.name)).await.map_err(map)?;

    let left: bool = sqlx::query_scalar("select exists (select from pg_roles where oid = $1::int8::oid or rolname = $2)")
        .bind(role.oid)
        .bind(&handle.role)
        .fetch_one(home)
        .await
        .map_err(map)?;
    if left { Err(EngineError::TargetRefused("the role is still there after it was dropped".to_owned())) } else { Ok(()) }
}

/// The databases that hold something of the role, and those of `more` that still exist.
async fn holders(home: &mut PgConnection, role: &Shut, more: &[String]) -> Result<BTreeSet<String>, EngineError> {
    let names: Vec<String> = sqlx::query_scalar(
        "select d.datname::text from pg_database d where d.datname::text = any ($2) or exists (select from pg_shdepend s \
         where s.dbid = d.oid and s.refclassid = 'pg_authid'::regclass and s.refobjid = $1::int8::oid)",
    )
    .bind(role.oid)
    .bind(more)
    .fetch_all(home)
    .await
    .map_err(map)?;
    Ok(names.into_iter().collect())
}

/// The statement that clears one database of the role.
async fn drop_owned(home: &mut PgConnection, settings: &Settings, role: &Shut) -> Result<String, EngineError> {
    let drop = format!("drop owned by {};\n", role.name);
    let Some(heir) = &settings.reassign_to else { return Ok(drop) };
    let heir: String = sqlx::query_scalar("select quote_ident($1)").bind(heir).fetch_one(home).await.map_err(map)?;
    Ok(format!("reassign owned by {} to {heir};\n{drop}", role.name))
}

fn script(revoking: &str, drop_owned: &str) -> String {
    // Clearing a database may take longer than the rest, though its locks may not.
    let limits = format!("{LIMITS}set local statement_timeout to '20s';\n");
    if revoking.is_empty() {
        return format!("{limits}{drop_owned}");
    }
    format!("{limits}set local search_path to default;\n{revoking}set local search_path to pg_catalog, pg_temp;\n{drop_owned}")
}

fn in_database(database: &str, error: &EngineError) -> EngineError {
    EngineError::TargetRefused(format!("in database {database:?}: {error}"))
}

//! What the targets' servers themselves show: plain SQL against their own catalogs.

use std::collections::BTreeSet;

use anyhow::Result;
use sqlx::Row as _;

use super::targets::{PATIENCE, Targets};
use crate::mariadb::Mariadb;

/// The leased logins of all targets.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Those that can log in.
    pub(crate) live: BTreeSet<String>,
    /// How many names are held by what nobody can log in to.
    pub(crate) held: usize,
    pub(crate) sessions: Vec<Open>,
}

/// One session of a leased login.
#[derive(Debug)]
pub(crate) struct Open {
    /// The same in every look.
    pub(crate) key: String,
    /// None where the login has been dropped, and the server does not know any more whose it was.
    pub(crate) login: Option<String>,
}

/// Asks all of them. Fails when one does not answer: what it would have shown is not known then.
pub(crate) async fn read(targets: &Targets) -> Result<Seen> {
    let mut seen = Seen::default();
    tokio::time::timeout(PATIENCE, async {
        postgres(targets, &mut seen).await?;
        match targets.mariadb() {
            Some(server) => mariadb(server, targets.logins, &mut seen).await,
            None => Ok(()),
        }
    })
    .await??;
    Ok(seen)
}

impl Seen {
    fn login(&mut self, name: String, open: bool) {
        if open {
            self.live.insert(name);
        } else {
            self.held += 1;
        }
    }
}

async fn postgres(targets: &Targets, seen: &mut Seen) -> Result<()> {
    let mut there = targets.look().await?;
    let roles = sqlx::query("select rolname::text, rolcanlogin from pg_roles where rolname like $1").bind(targets.logins);
    for row in roles.fetch_all(&mut there).await? {
        seen.login(row.try_get(0)?, row.try_get(1)?);
    }
    let sessions: Vec<(i32, String, Option<String>)> = sqlx::query_as(
        "select a.pid, a.backend_start::text, r.rolname::text
         from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid
         where a.usesysid is not null and a.datname = any ($1) and (r.oid is null or r.rolname like $2)",
    )
    .bind(targets.databases())
    .bind(targets.logins)
    .fetch_all(&mut there)
    .await?;
    let open = sessions.into_iter().map(|(pid, since, login)| Open { key: format!("session {pid} since {since}"), login });
    seen.sessions.extend(open);
    Ok(())
}

async fn mariadb(server: &Mariadb, logins: &str, seen: &mut Seen) -> Result<()> {
    let mut there = server.look().await?;
    let accounts: Vec<(String, i64)> = sqlx::query_as(
        "select cast(user as char), cast(coalesce(json_value(priv, '$.account_locked'), '0') <> '1' as signed)
         from mysql.global_priv where user like ?",
    )
    .bind(logins)
    .fetch_all(&mut there)
    .await?;
    for (name, open) in accounts {
        seen.login(name, open == 1);
    }
    // A session keeps the name of its login, also when that is dropped.
    let sessions: Vec<(i64, String)> =
        sqlx::query_as("select cast(id as signed), cast(user as char) from information_schema.processlist where user like ?")
            .bind(logins)
            .fetch_all(&mut there)
            .await?;
    let open = sessions.into_iter().map(|(id, login)| Open { key: format!("MariaDB session {id}"), login: Some(login) });
    seen.sessions.extend(open);
    Ok(())
}

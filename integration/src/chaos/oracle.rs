//! The oracle: what the targets' own catalogs show beside the broker's tables of leases and audit. It shares no code with the
//! broker, asks it nothing and believes it nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use sqlx::PgConnection;

use super::catalog;
use super::jobs::Got;
use super::targets::Targets;
use crate::cluster::Databases;

/// What it has found, by what it is about, so that nothing is counted twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Logins that can log in and have no open lease.
    pub(crate) leaked: BTreeSet<String>,
    /// Credentials, leases and ends without the rows that they need.
    pub(crate) unrecorded: BTreeSet<String>,
    /// Tokens for which two credentials reached jobs without a key.
    pub(crate) doubles: BTreeSet<u64>,
    /// Sessions of logins whose lease is over.
    pub(crate) sessions: BTreeSet<String>,
    /// Sessions that were suspect at the last look; one that is just ending is none the next time.
    suspects: BTreeSet<String>,
}

/// What is left at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    pub(crate) open_leases: i64,
    pub(crate) logins: usize,
    /// Roles and accounts nobody can log in as, which only hold a name.
    pub(crate) names: usize,
}

/// Looks once, while everything goes on. The order of the questions is what makes each finding a fact: what is over was over
/// before the targets were asked, and what has no row then had none when its login was seen.
pub(crate) async fn look(found: &mut Found, databases: &Databases, targets: &Targets) -> Result<()> {
    let mut records = databases.records().await?;
    let over = logins_of(&mut records, "due_at is null").await?;
    let seen = catalog::read(targets).await?;
    let known = logins_of(&mut records, "true").await?;

    for login in seen.live {
        if over.contains(&login) || !known.contains(&login) {
            found.leaked.insert(login);
        }
    }
    let mut suspects = BTreeSet::new();
    for open in seen.sessions {
        if open.login.as_ref().is_none_or(|login| over.contains(login)) {
            suspects.insert(format!("{} of {}", open.key, open.login.as_deref().unwrap_or("a dropped login")));
        }
    }
    found.sessions.extend(suspects.intersection(&found.suspects).cloned());
    found.suspects = suspects;
    Ok(())
}

/// What is still there.
pub(crate) async fn left(databases: &Databases, targets: &Targets) -> Result<Left> {
    let seen = catalog::read(targets).await?;
    let (logins, names) = (seen.live.len(), seen.held);
    Ok(Left { open_leases: databases.count("leases where due_at is not null").await?, logins, names })
}

/// Goes through what the jobs got and what the tables hold, when everything is quiet.
pub(crate) async fn audit(found: &mut Found, got: &[Got], databases: &Databases, targets: &Targets) -> Result<()> {
    look(found, databases, targets).await?;
    found.leaked.extend(catalog::read(targets).await?.live);

    let mut records = databases.records().await?;
    let granted: Vec<(String, String)> = sqlx::query_as(
        "select l.id::text, l.upstream from daypass.leases l where l.upstream is not null and exists (
             select from daypass.audit_records a where a.session_id = l.session_id and a.kind = 'exchange.granted')",
    )
    .fetch_all(&mut records)
    .await?;
    let granted: BTreeMap<String, String> = granted.into_iter().collect();
    let mut of_token: BTreeMap<u64, usize> = BTreeMap::new();
    for Got { token, keyed, lease, login } in got {
        if granted.get(lease) != Some(login) {
            found.unrecorded.insert(format!("credential {login} of lease {lease}"));
        }
        let count = of_token.entry(*token).or_default();
        *count += 1;
        if *count > 1 && !keyed {
            found.doubles.insert(*token);
        }
    }
    for (what, missing) in [
        (
            "lease that nobody asked for",
            "not exists (select from daypass.audit_records a where a.session_id = l.session_id and a.kind = 'exchange.asked')",
        ),
        (
            "end without record",
            "l.state = 'revoked'
             and not exists (select from daypass.audit_records a where a.lease_id = l.id and a.kind = 'lease.revoked')",
        ),
    ] {
        let statement = format!("select l.id::text from daypass.leases l where l.upstream is not null and {missing}");
        let ids: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&mut records).await?;
        found.unrecorded.extend(ids.into_iter().map(|id| format!("{what}: {id}")));
    }
    Ok(())
}

/// For how many seconds the worst lease was wanted back and not gone, and how often it was tried. Each try that dies with its
/// replica keeps the lease for a minute.
pub(crate) async fn worst_overdue(databases: &Databases) -> Result<(f64, i32)> {
    let worst = "select extract(epoch from ended_at - wanted_at)::float8, attempt from daypass.leases
                 where ended_at is not null and wanted_at is not null order by 1 desc limit 1";
    Ok(sqlx::query_as(worst).fetch_optional(&mut databases.records().await?).await?.unwrap_or_default())
}

async fn logins_of(records: &mut PgConnection, which: &'static str) -> Result<BTreeSet<String>> {
    let statement = format!("select upstream from daypass.leases where upstream is not null and {which}");
    let all: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(records).await?;
    Ok(all.into_iter().collect())
}

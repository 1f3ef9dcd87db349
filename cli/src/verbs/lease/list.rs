//! `daypass lease list|show`.

use clap::Args;
use domain::wire::{LeaseDetail, LeaseFilter, LeaseSearch};

use super::filter::Filter;
use super::state;
use crate::context::Context;
use crate::failure::Result;
use crate::render::{moment, short_moment};

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Everybody's, for operators; a condition means that too
    #[arg(long)]
    all: bool,
    /// How many; 100 unless told, 1000 at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// Only leases after this one in the list
    #[arg(long, value_name = "LEASE")]
    after: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

pub(super) async fn run(context: &Context, List { all, filter, limit, after }: List) -> Result<()> {
    let search = LeaseSearch { filter: LeaseFilter::from(filter), limit, after };
    if !all && search.filter.is_empty() && search.limit.is_none() && search.after.is_none() {
        let list = context.broker_with_session()?.leases().await?;
        return if context.out.is_json() { context.out.json(&list) } else { super::show(context, &list.leases) };
    }
    let page = context.operators()?.search_leases(&search).await?;
    if context.out.is_json() {
        return context.out.json(&page);
    }
    table(context, &page.leases)?;
    if let Some(next) = page.next {
        context.out.note(&format!("more: --after {next}"));
    }
    Ok(())
}

pub(super) async fn show(context: &Context, id: &str) -> Result<()> {
    let found = context.operators()?.lease_detail(id).await?;
    if context.out.is_json() { context.out.json(&found) } else { context.out.pairs(&pairs(&found)) }
}

/// Everybody's leases, one a line.
pub(crate) fn table(context: &Context, leases: &[LeaseDetail]) -> Result<()> {
    let rows: Vec<[String; 8]> = leases
        .iter()
        .map(|found| {
            let LeaseDetail { lease, session, .. } = found;
            [
                lease.id.clone(),
                or_none(session.project_name.as_ref().or(session.project.as_ref())),
                or_none(session.run.as_ref()),
                lease.role.clone(),
                lease.engine.clone(),
                or_none(lease.connection.as_ref()),
                short_moment(lease.expires_at),
                state(lease),
            ]
        })
        .collect();
    context.out.table(["LEASE", "PROJECT", "RUN", "ROLE", "ENGINE", "CONNECTION", "ENDS (UTC)", "STATE"], &rows)
}

/// All that is known of one.
pub(super) fn pairs(found: &LeaseDetail) -> Vec<(&'static str, String)> {
    let LeaseDetail { lease, session, .. } = found;
    let mut pairs = vec![
        ("lease", lease.id.clone()),
        ("state", state(lease)),
        ("role", lease.role.clone()),
        ("credential", lease.credential.clone()),
        ("engine", lease.engine.clone()),
        ("connection", or_none(lease.connection.as_ref())),
        ("name there", or_none(found.upstream.as_ref())),
        ("revocable", if lease.revocable { "yes" } else { "no" }.to_owned()),
        ("issued", moment(lease.issued_at)),
        ("ends", moment(lease.expires_at)),
    ];
    if let Some(at) = lease.ended_at {
        pairs.push(("ended", moment(at)));
    }
    if let Some(at) = found.wanted_at {
        pairs.push(("to be gone", format!("since {}", moment(at))));
        pairs.push(("tries", found.tries.to_string()));
    }
    if let Some(at) = found.next_try {
        let what = if found.in_hand { "in hand; another worker takes over" } else { "at" };
        pairs.push(("next try", format!("{what} {}", moment(at))));
    }
    pairs.extend([
        ("session", session.id.clone()),
        ("issuer", session.issuer.clone()),
        ("project", or_none(session.project_name.as_ref())),
        ("project id", or_none(session.project.as_ref())),
        ("run", or_none(session.run.as_ref())),
        ("attempt", or_none(session.attempt.as_ref())),
        ("job", or_none(session.job.as_ref())),
        ("session ends", moment(session.ends_at)),
    ]);
    if let Some(at) = session.ended_at {
        pairs.push(("session ended", moment(at)));
    }
    pairs
}

fn or_none(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| "-".to_owned())
}

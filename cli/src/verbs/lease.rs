//! `daypass lease …`: the kept session's own leases, and for operators everybody's.

mod filter;
mod find;
mod list;
pub(crate) mod revoke;

use clap::Subcommand;
use domain::policy::duration;
use domain::wire::{LeaseAnswer, RenewRequest};

use super::reconcile;
use crate::context::Context;
use crate::failure::Result;
use crate::http::DEADLINE;
use crate::render::moment;

pub(crate) use filter::point_in_time;

#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// List the session's leases; with --all or a condition everybody's, for operators
    List(Box<list::List>),
    /// Show all that is known of a lease, for operators
    Show {
        /// As `lease list` shows it
        id: String,
    },
    /// Let a lease of the session last longer, as far as the policy gives
    Renew {
        /// As `lease list` shows it
        id: String,
        /// How long from now, such as 15m; as long as the policy gives unless told
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        ttl: Option<std::time::Duration>,
        /// Anybody's lease, for operators
        #[arg(long)]
        any: bool,
    },
    /// Take one credential of the session back before its time
    Release {
        /// As `lease list` shows it
        id: String,
    },
    /// Take back every lease that meets the conditions, for operators
    Revoke(Box<revoke::Revoke>),
    /// Tell whose a string is, read from standard input, for operators
    Find,
    /// Compare the leases with what the targets really have, and set right what differs; for operators
    Reconcile(reconcile::Reconcile),
    /// Let taking back go on after the database went back in time; for operators
    Resume,
}

pub(crate) async fn run(context: &Context, lease: Lease) -> Result<u8> {
    match lease {
        Lease::List(list) => list::run(context, *list).await?,
        Lease::Show { id } => list::show(context, &id).await?,
        Lease::Renew { id, ttl, any } => renew(context, &id, ttl, any).await?,
        Lease::Reconcile(ask) => reconcile::run(context, ask).await?,
        Lease::Resume => reconcile::resume(context).await?,
        Lease::Release { id } => {
            let released = context.broker_with_session()?.release_lease(&id, DEADLINE).await?;
            if context.out.is_json() { context.out.json(&released)? } else { show(context, &released.leases)? }
        }
        Lease::Revoke(request) => return revoke::run(context, *request).await,
        Lease::Find => find::run(context).await?,
    }
    Ok(0)
}

async fn renew(context: &Context, id: &str, ttl: Option<std::time::Duration>, operators: bool) -> Result<()> {
    let api = if operators { context.operators()? } else { context.broker_with_session()? };
    let renewed = api.renew_lease(id, &RenewRequest { ttl: ttl.map(duration::print) }, operators).await?;
    if context.out.is_json() {
        return context.out.json(&renewed);
    }
    let ends = moment(renewed.lease.expires_at);
    context.out.pairs(&[("lease", renewed.lease.id), ("ends", ends), ("limited by", renewed.limited_by)])
}

pub(super) fn show(context: &Context, leases: &[LeaseAnswer]) -> Result<()> {
    let rows: Vec<[String; 6]> = leases
        .iter()
        .map(|lease| {
            let back = if lease.revocable { "yes" } else { "no" };
            let [id, credential, engine] = [&lease.id, &lease.credential, &lease.engine].map(Clone::clone);
            [id, credential, engine, moment(lease.expires_at), back.to_owned(), state(lease)]
        })
        .collect();
    context.out.table(["LEASE", "CREDENTIAL", "ENGINE", "ENDS", "REVOCABLE", "STATE"], &rows)
}

/// The state and, where it is not gone yet, why.
fn state(lease: &LeaseAnswer) -> String {
    match &lease.reason {
        Some(reason) if lease.state.is_open() => format!("{} ({reason})", lease.state),
        _ => lease.state.to_string(),
    }
}

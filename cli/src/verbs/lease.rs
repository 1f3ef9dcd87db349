//! `daypass lease list|release`: the kept session's own leases.

use clap::Subcommand;
use domain::wire::LeaseAnswer;

use super::reconcile;
use crate::context::Context;
use crate::failure::Result;
use crate::http::DEADLINE;
use crate::render::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// List the session's leases
    List,
    /// Take one credential back before its time
    Release {
        /// As `lease list` shows it
        id: String,
    },
    /// Compare the leases with what the targets really have, and set right what differs; for operators
    Reconcile(reconcile::Reconcile),
    /// Let taking back go on after the database went back in time; for operators
    Resume,
}

pub(crate) async fn run(context: &Context, lease: Lease) -> Result<()> {
    let api = match lease {
        Lease::Reconcile(ask) => return reconcile::run(context, ask).await,
        Lease::Resume => return reconcile::resume(context).await,
        Lease::List | Lease::Release { .. } => context.broker_with_session()?,
    };
    match lease {
        Lease::Reconcile(_) | Lease::Resume => Ok(()),
        Lease::List => {
            let list = api.leases().await?;
            if context.out.is_json() { context.out.json(&list) } else { show(context, &list.leases) }
        }
        Lease::Release { id } => {
            let released = api.release_lease(&id, DEADLINE).await?;
            if context.out.is_json() { context.out.json(&released) } else { show(context, &released.leases) }
        }
    }
}

pub(super) fn show(context: &Context, leases: &[LeaseAnswer]) -> Result<()> {
    let rows: Vec<[String; 6]> = leases
        .iter()
        .map(|lease| {
            let state = match &lease.reason {
                Some(reason) => format!("{} ({reason})", lease.state),
                None => lease.state.to_string(),
            };
            let back = if lease.revocable { "yes" } else { "no" };
            [lease.id.clone(), lease.credential.clone(), lease.engine.clone(), moment(lease.expires_at), back.to_owned(), state]
        })
        .collect();
    context.out.table(["LEASE", "CREDENTIAL", "ENGINE", "ENDS", "REVOCABLE", "STATE"], &rows)
}

//! `daypass lease reconcile|resume`: leases and targets compared, for operators.

use clap::Args;
use domain::wire::{ReconcileAnswer, ReconcileRequest, StrayAnswer, StrayStep, TargetAnswer};

use crate::context::Context;
use crate::failure::Result;
use crate::render::{count, moment, short_moment};

#[derive(Args, Debug)]
pub(crate) struct Reconcile {
    /// Only look, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

pub(crate) async fn run(context: &Context, ask: Reconcile) -> Result<()> {
    let Reconcile { dry_run, connection } = ask;
    let answer = context.operators()?.reconcile(&ReconcileRequest { connection, dry_run }).await?;
    if context.out.is_json() {
        return context.out.json(&answer);
    }
    let rows: Vec<[String; 5]> = answer
        .targets
        .iter()
        .map(|target| {
            let logins = target.logins.map_or_else(|| "-".to_owned(), |logins| logins.to_string());
            let (strays, lost) = (target.strays.len().to_string(), target.lost_count.to_string());
            [target.connection.clone(), logins, strays, lost, target.failure.clone().unwrap_or_else(|| "compared".to_owned())]
        })
        .collect();
    context.out.table(["CONNECTION", "LOGINS", "STRAYS", "LOST", "OUTCOME"], &rows)?;
    let changes = !answer.dry_run && answer.hold.is_none();
    let differing: Vec<[String; 5]> = answer.targets.iter().flat_map(|target| differing(target, changes)).collect();
    if !differing.is_empty() {
        context.out.text("\n")?;
        context.out.table(["CONNECTION", "LOGIN", "WHAT", "FIRST SEEN", "STEP"], &differing)?;
    }
    remarks(context, &answer);
    Ok(())
}

/// Strays and lost leases of a target, a row each.
fn differing(target: &TargetAnswer, changes: bool) -> impl Iterator<Item = [String; 5]> {
    let strays = target.strays.iter().map(|stray| {
        let seen = short_moment(stray.first_seen);
        [target.connection.clone(), stray.name.clone(), stray.reason.clone(), seen, step(stray)]
    });
    let outcome = if changes && target.failure.is_none() { "taken back" } else { "to be taken back" };
    let lost = target.lost.iter().map(move |lost| {
        let what = format!("gone; lease {} of {}", lost.lease_id, lost.role);
        [target.connection.clone(), lost.name.clone(), what, "-".to_owned(), outcome.to_owned()]
    });
    strays.chain(lost)
}

fn step(stray: &StrayAnswer) -> String {
    let at = stray.next_at.map(short_moment);
    let mut words = match (stray.step, at) {
        (StrayStep::Seen, _) => "to be shut".to_owned(),
        (StrayStep::Spared, Some(at)) => format!("spared until {at}"),
        (StrayStep::Spared, None) => "spared".to_owned(),
        (StrayStep::Quarantined, Some(at)) => format!("shut, dropped after {at}"),
        (StrayStep::Quarantined, None) => "shut".to_owned(),
        (StrayStep::Dropped, _) => "dropped".to_owned(),
    };
    if let Some(failure) = &stray.failure {
        words = format!("{words} ({failure})");
    }
    words
}

fn remarks(context: &Context, answer: &ReconcileAnswer) {
    if let Some(hold) = &answer.hold {
        context.out.note(&format!("on hold since {}: {}", moment(hold.since), hold.reason));
        context.out.note("nothing was changed; when you have looked: daypass lease resume");
    } else if answer.dry_run {
        let differing: usize = answer.targets.iter().map(|target| target.strays.len() + target.lost.len()).sum();
        context.out.note(&format!("{}; nothing was changed", count(differing, "difference")));
    }
}

pub(crate) async fn resume(context: &Context) -> Result<()> {
    let answer = context.operators()?.resume().await?;
    if context.out.is_json() {
        return context.out.json(&answer);
    }
    match answer.hold {
        Some(hold) => context.out.pairs(&[
            ("resumed", "leases are taken back again".to_owned()),
            ("held since", moment(hold.since)),
            ("because", hold.reason),
        ]),
        None => context.out.pairs(&[("resumed", "there was no hold".to_owned())]),
    }
}

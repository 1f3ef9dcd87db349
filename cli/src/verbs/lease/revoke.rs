//! `daypass lease revoke`: the broker marks what is meant, its workers take it back, and this follows what becomes of it.

use std::time::Duration;

use clap::Args;
use domain::policy::duration;
use domain::wire::{LeaseFilter, RevocationProgress, RevokeRequest};
use serde::Serialize;
use tokio::time::Instant;

use super::filter::Filter;
use super::list::table;
use crate::api::Api;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::{count, moment};

const LOOK: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    filter: Filter,
}

/// How long to follow what goes on anyway.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long to follow it; the broker goes on by itself
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "2m")]
    wait: Duration,
}

#[derive(Serialize)]
struct Summary {
    revocation: String,
    already_gone: u64,
    #[serde(flatten)]
    progress: RevocationProgress,
}

/// The exit code: 0 when everything is gone that can be, 1 when something is not.
pub(super) async fn run(context: &Context, Revoke { filter, patience }: Revoke) -> Result<u8> {
    let filter = LeaseFilter::from(filter);
    if filter.is_empty() {
        return Err(Failure::usage("this would take everything back").fix("name at least one condition, such as --role"));
    }
    let api = context.operators()?;
    let mut request = RevokeRequest { filter, ..RevokeRequest::default() };
    let mut already_gone = 0;
    let revocation = loop {
        let answer = api.revoke_leases(&request).await?;
        already_gone += answer.already_gone;
        match answer.after {
            None => break answer.revocation,
            after => (request.revocation, request.after) = (Some(answer.revocation), after),
        }
    };
    let progress = follow(context, &api, &revocation, patience).await?;
    let left = u8::from(progress.going + progress.failing > 0);
    if context.out.is_json() {
        context.out.json(&Summary { revocation, already_gone, progress })?;
    } else {
        summary(context, &progress, already_gone)?;
    }
    Ok(left)
}

/// Looks again and again until nothing more is to be expected, or patience ends.
pub(crate) async fn follow(context: &Context, api: &Api, revocation: &str, patience: Patience) -> Result<RevocationProgress> {
    let until = Instant::now() + patience.wait;
    loop {
        let progress = api.revocation(revocation).await?;
        let wanted = progress.total - progress.irrevocable.min(progress.total);
        context.out.progress(progress.revoked, wanted, &format!("{} failing", progress.failing));
        if progress.is_settled() || Instant::now() >= until {
            context.out.progress_ends();
            return Ok(progress);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What became of it, and what lives on.
pub(crate) fn summary(context: &Context, progress: &RevocationProgress, already_gone: u64) -> Result<()> {
    let out = context.out;
    let mut pairs = vec![("revoked", progress.revoked.to_string()), ("already gone", already_gone.to_string())];
    if progress.going > 0 {
        pairs.push(("going", progress.going.to_string()));
    }
    pairs.push(("failing", progress.failing.to_string()));
    for failing in &progress.reasons {
        let next = failing.next_try.map(|at| format!("; next try {}", moment(at))).unwrap_or_default();
        let leases = count(usize::try_from(failing.leases).unwrap_or(usize::MAX), "lease");
        pairs.push(("", format!("{leases}: {}{next}", failing.reason)));
    }
    pairs.push(("cannot be revoked", progress.irrevocable.to_string()));
    out.pairs(&pairs)?;
    if !progress.living_on.is_empty() {
        out.text("\nThese live on until they end by their own clock:\n")?;
        table(context, &progress.living_on)?;
    }
    if progress.going + progress.failing > 0 {
        out.note("the broker goes on trying for ever; `daypass lease list --state revoking` shows what is left");
    }
    Ok(())
}

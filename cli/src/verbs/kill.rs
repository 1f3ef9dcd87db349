//! `daypass kill`: stops exchanges, ends what came of earlier ones, and tells what was given.

use clap::Args;
use domain::wire::{GivenEntry, GivenSearch, KillRequest, RevocationProgress, StopAnswer, StopFilter};
use serde::Serialize;
use time::OffsetDateTime;

use crate::api::Api;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::{moment, short_moment};
use crate::verbs::lease::{point_in_time, revoke};

#[derive(Args, Debug)]
pub(crate) struct Kill {
    /// Whom to stop: this repository, by its immutable id or its name
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// This run or pipeline, by its id at the issuer
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Those who become this role
    #[arg(long)]
    role: Option<String>,
    /// This issuer, by its name in the policy set
    #[arg(long)]
    issuer: Option<String>,
    /// Those who ask for credentials of this engine
    #[arg(long)]
    engine: Option<String>,
    /// Tokens made before this moment: `now`, how long ago (2h), or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    before: Option<OffsetDateTime>,
    /// Why, for those who ask later
    #[arg(long, default_value = "daypass kill", value_name = "TEXT")]
    reason: String,
    /// Only tell what was given, and stop nothing
    #[arg(long)]
    dry_run: bool,
    /// List the stops that hold
    #[arg(long, conflicts_with_all = ["repository", "run", "role", "issuer", "engine", "before", "dry_run", "lift"])]
    list: bool,
    /// Let exchanges through again that this stop keeps out
    #[arg(long, value_name = "STOP", conflicts_with_all = ["repository", "run", "role", "issuer", "engine", "before", "dry_run"])]
    lift: Option<String>,
    #[command(flatten)]
    patience: revoke::Patience,
}

#[derive(Serialize)]
struct Summary {
    stop: StopAnswer,
    sessions_ended: u64,
    progress: RevocationProgress,
    /// Nothing where it could not be listed.
    given: Option<Vec<GivenEntry>>,
}

/// The exit code: 0 when everything is gone that can be, 1 when something is not.
pub(crate) async fn run(context: &Context, kill: Kill) -> Result<u8> {
    let api = context.operators()?;
    if kill.list || kill.lift.is_some() {
        let left = match &kill.lift {
            Some(id) => api.lift_stop(id).await?,
            None => api.stops().await?,
        };
        let shown = if context.out.is_json() { context.out.json(&left) } else { stops(context, &left.stops) };
        return shown.map(|()| 0);
    }
    let Kill { repository, run, role, issuer, engine, before, .. } = kill;
    let filter = StopFilter { repository, run, role, issuer, engine, before };
    if filter.is_empty() {
        return Err(Failure::usage("this would stop everything").fix("name at least one condition, such as --repository"));
    }
    if kill.dry_run {
        let given = all_given(&api, filter).await?;
        let shown = if context.out.is_json() { context.out.json(&given) } else { handed_out(context, &given) };
        return shown.map(|()| 0);
    }
    let killed = api.kill(&KillRequest { filter: filter.clone(), reason: kill.reason }).await?;
    // Told at once: whatever fails from here on, the stop holds.
    context.out.note(&format!("stopped; lift it again with: daypass kill --lift {}", killed.stop.id));
    if !context.out.is_json() {
        context.out.pairs(&[("stop", killed.stop.id.clone()), ("sessions ended", killed.sessions_ended.to_string())])?;
    }
    let progress = revoke::follow(context, &api, &killed.stop.id, kill.patience).await?;
    if !context.out.is_json() {
        revoke::summary(context, &progress, 0)?;
    }
    let left = u8::from(progress.going + progress.failing > 0);
    let given = match all_given(&api, filter).await {
        Ok(given) => Some(given),
        Err(failure) => {
            let why = failure.code().unwrap_or(&failure.title);
            context.out.note(&format!("what was given to them could not be listed; `--dry-run` asks again: {why}"));
            None
        }
    };
    if context.out.is_json() {
        let (stop, sessions_ended) = (killed.stop, killed.sessions_ended);
        context.out.json(&Summary { stop, sessions_ended, progress, given })?;
    } else if let Some(given) = given {
        context.out.text("\nThis was given to them:\n")?;
        handed_out(context, &given)?;
    }
    Ok(left)
}

async fn all_given(api: &Api, filter: StopFilter) -> Result<Vec<GivenEntry>> {
    let (mut search, mut all) = (GivenSearch { filter, after: None }, Vec::new());
    loop {
        let page = api.given(&search).await?;
        all.extend(page.given);
        match page.next {
            None => return Ok(all),
            next => search.after = next,
        }
    }
}

fn handed_out(context: &Context, given: &[GivenEntry]) -> Result<()> {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<[String; 7]> = given
        .iter()
        .map(|entry| {
            [
                short_moment(entry.at),
                or_none(&entry.project),
                or_none(&entry.role),
                or_none(&entry.credential),
                entry.engine.clone(),
                entry.what.clone(),
                or_none(&entry.lease_id),
            ]
        })
        .collect();
    context.out.table(["AT (UTC)", "PROJECT", "ROLE", "CREDENTIAL", "ENGINE", "WHAT", "LEASE"], &rows)
}

fn stops(context: &Context, stops: &[StopAnswer]) -> Result<()> {
    let rows: Vec<[String; 4]> = stops
        .iter()
        .map(|stop| {
            let StopFilter { repository, run, role, issuer, engine, before } = &stop.filter;
            let texts = [("repository", repository), ("run", run), ("role", role), ("issuer", issuer), ("engine", engine)];
            let texts = texts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
            let whom: Vec<String> = texts.chain(before.map(|at| format!("before {}", moment(at)))).collect();
            [stop.id.clone(), short_moment(stop.created_at), whom.join(", "), stop.reason.clone()]
        })
        .collect();
    context.out.table(["STOP", "SINCE (UTC)", "WHOM", "WHY"], &rows)
}

//! `daypass env`: prints the variables for a shell to `eval`, or gives them to the later steps of a GitHub job.

use clap::Args;

use crate::args::Asking;
use crate::context::Context;
use crate::deliver::env::{exports, unset};
use crate::deliver::github::append_env;
use crate::deliver::naming::{Variables, variables};
use crate::failure::Result;
use crate::session::Place;
use crate::verbs::obtain::{Obtained, obtain};

#[derive(Args, Debug)]
pub(crate) struct Env {
    /// Only this credential of the role; may be given several times
    #[arg(short = 'C', long = "credential", value_name = "NAME")]
    pub(crate) credentials: Vec<String>,
    /// Put each credential's own name before the usual names: SHOP_PGPASSWORD
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Append to the file of GITHUB_ENV instead of printing, and have the runner hide the values
    #[arg(long)]
    pub(crate) github: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

pub(crate) async fn run(context: &Context, mut env: Env) -> Result<()> {
    env.asking.tidy();
    let file = if env.github { Some(context.github_env()?) } else { None };
    let obtained = obtain(context, &env.asking, &env.credentials).await?;
    let Variables { all: variables, notes, displaced } = variables(&obtained.issued.credentials, env.prefix);
    for note in &notes {
        context.out.note(note);
    }
    let delivered = match file {
        Some(path) => append_env(&path, &variables),
        None if context.out.is_json() => {
            let map: std::collections::BTreeMap<&str, &str> =
                variables.iter().map(|variable| (variable.name.as_str(), variable.value.expose().as_str())).collect();
            context.out.json(&map)
        }
        None => exports(&variables).and_then(|lines| {
            let rivals: Vec<&str> = displaced.iter().map(String::as_str).filter(|name| context.env.var(name).is_some()).collect();
            context.out.raw(unset(&rivals).as_bytes())?;
            context.out.raw(lines.as_bytes())
        }),
    };
    match delivered {
        Ok(()) => {
            keep_for_release(context, &obtained);
            Ok(())
        }
        Err(failure) => {
            for (what, failure) in obtained.release().await {
                context.out.warning(&what, &failure);
            }
            Err(failure)
        }
    }
}

/// The credentials outlive this command, so the session is kept for `daypass release`.
pub(super) fn keep_for_release(context: &Context, obtained: &Obtained) {
    if !obtained.fresh {
        return;
    }
    if let Err(failure) = context.keep().and_then(|keep| keep.add(&obtained.session, Place::Last)) {
        context.out.warning("the session cannot be kept, so `daypass release` cannot end what was issued", &failure);
    }
}

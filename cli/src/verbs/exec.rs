//! `daypass exec -- command`: runs a command with credentials that nothing but the command sees, and gives them back after it.

mod child;
mod signals;

use std::ffi::OsString;

use clap::Args;

use crate::args::Asking;
use crate::context::Context;
use crate::deliver::files::{self, Files};
use crate::deliver::mask::Patterns;
use crate::deliver::naming::{Variables, variables};
use crate::failure::Result;
use crate::stop::exit_code;
use crate::verbs::obtain::{Obtained, obtain};
use child::Child;
use signals::Signals;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Exec {
    /// Only this credential of the role; may be given several times
    #[arg(short = 'C', long = "credential", value_name = "NAME")]
    pub(crate) credentials: Vec<String>,
    /// Put each credential's own name before the usual names: SHOP_PGPASSWORD
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Give the credentials as files in memory; the environment names their paths
    #[arg(long)]
    pub(crate) files: bool,
    /// With --files, accept a disk where there is no file system in memory
    #[arg(long, requires = "files")]
    pub(crate) allow_disk: bool,
    /// Hide the credentials in what the command prints
    #[arg(long)]
    pub(crate) mask: bool,
    /// Leave the CI system's token variables in the command's environment
    #[arg(long)]
    pub(crate) keep_ci_token: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// The command's own exit code. Whatever happens after the credentials were issued, they are given back.
pub(crate) async fn run(context: &Context, mut exec: Exec) -> Result<u8> {
    exec.asking.tidy();
    // Before anything is issued, so that no signal can end this process between issue and release.
    let mut signals = Signals::listen(&context.stop)?;
    let obtained = match obtain(context, &exec.asking, &exec.credentials).await {
        Ok(obtained) => obtained,
        Err(failure) => {
            return Err(match context.stop.told() {
                Some(signal) => failure.with_exit_code(exit_code(signal)),
                None => failure,
            });
        }
    };
    // Told to end while the answer was on its way: what it brought is given back unused.
    let outcome = match context.stop.told() {
        Some(signal) => Ok(exit_code(signal)),
        None => hand_over(context, &exec, &obtained, &mut signals).await,
    };
    for (what, failure) in obtained.release().await {
        context.out.warning(&what, &failure);
    }
    outcome
}

async fn hand_over(context: &Context, exec: &Exec, obtained: &Obtained, signals: &mut Signals) -> Result<u8> {
    let credentials = &obtained.issued.credentials;
    let (files, named): (Option<Files>, Variables) = if exec.files {
        let (files, named) = files::deliver(&context.env, credentials, exec.prefix, exec.allow_disk)?;
        (Some(files), named)
    } else {
        (None, variables(credentials, exec.prefix))
    };
    for note in &named.notes {
        context.out.note(note);
    }
    let hide = exec.mask.then(|| Patterns::new(obtained.issued.confidential()));
    let mut child = Child::new(&exec.command);
    if !exec.keep_ci_token {
        child.without_tokens(&context.env, exec.asking.token.token_env.as_deref());
    }
    child.without(&named.displaced);
    child.with(&named.all)?;
    let code = child.run(hide, signals).await;
    if let Some(files) = files
        && let Err(failure) = files.remove()
    {
        context.out.warning("the credentials' files were not all removed", &failure);
    }
    code
}

//! `daypass login`: opens a session and keeps it for later commands. The session token is never printed.

use std::path::PathBuf;

use clap::Args;

use crate::args::Asking;
use crate::context::Context;
use crate::failure::Result;
use crate::render::moment;
use crate::session::Place;
use crate::verbs::obtain::{bootstrap, exchange};

#[derive(Args, Debug)]
pub(crate) struct Login {
    /// Have these credentials made in the same ask; their leases are given back at once, as nobody is shown them
    #[arg(short = 'C', long = "credential", value_name = "NAME")]
    pub(crate) credentials: Vec<String>,
    /// Spend the first operator's token in this file, or - for standard input, instead of exchanging a CI token
    #[arg(long, value_name = "FILE", conflicts_with = "credentials")]
    pub(crate) bootstrap_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

pub(crate) async fn run(context: &Context, mut login: Login) -> Result<()> {
    login.asking.tidy();
    let obtained = if let Some(file) = login.bootstrap_file {
        bootstrap(context, file).await?
    } else {
        let credentials = Some(login.credentials.as_slice()).filter(|names| !names.is_empty());
        exchange(context, &login.asking, credentials).await?
    };
    let keep = context.keep()?;
    if let Err(failure) = keep.add(&obtained.session, Place::First) {
        for (what, failure) in obtained.release().await {
            context.out.warning(&what, &failure);
        }
        return Err(failure);
    }
    // What was named to be tried out is asked for again when it is needed.
    for credential in obtained.issued.credentials.iter().filter(|credential| credential.revocable) {
        if let Some(id) = &credential.lease_id
            && let Err(failure) = obtained.api.release_lease(id, crate::http::DEADLINE).await
        {
            context.out.warning(&format!("the unused lease of {} could not be released", credential.name), &failure);
        }
    }
    let session = &obtained.session;
    if context.out.is_json() {
        return context.out.json(&serde_json::json!({
            "session_id": session.id,
            "role": session.role,
            "ends_at": moment(session.ends_at),
            "decision_id": obtained.issued.decision_id,
            "address": session.address,
            "session_file": keep.path(),
        }));
    }
    context.out.pairs(&[
        ("role", session.role.clone()),
        ("session", session.id.clone()),
        ("ends", moment(session.ends_at)),
        ("decision", obtained.issued.decision_id.clone()),
        ("kept in", keep.path().display().to_string()),
    ])
}

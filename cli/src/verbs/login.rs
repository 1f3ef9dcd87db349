//! `daypass login`: opens a session and keeps it for later commands. The session token is never printed.

use clap::Args;

use crate::args::Asking;
use crate::context::Context;
use crate::failure::Result;
use crate::render::moment;
use crate::verbs::obtain::exchange;

#[derive(Args, Debug)]
pub(crate) struct Login {
    /// An exchange hands out credentials, which login gives back at once; naming one keeps the others from being made
    #[arg(short = 'C', long = "credential", value_name = "NAME")]
    pub(crate) credentials: Vec<String>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

pub(crate) async fn run(context: &Context, mut login: Login) -> Result<()> {
    login.asking.tidy();
    let obtained = exchange(context, &login.asking, &login.credentials).await?;
    let keep = context.keep()?;
    if let Err(failure) = keep.save(&obtained.session) {
        for (what, failure) in obtained.release().await {
            context.out.warning(&what, &failure);
        }
        return Err(failure);
    }
    // The exchange hands credentials out that nobody asked for yet; they are asked for again when they are needed.
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

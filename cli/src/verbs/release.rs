//! `daypass release` (`logout`): releases every lease of the kept session and ends it.

use crate::context::Context;
use crate::failure::Result;
use crate::http::DEADLINE;
use crate::verbs::lease::show;

pub(crate) async fn run(context: &Context) -> Result<()> {
    let keep = context.keep()?;
    let (api, session) = context.broker_with_session()?;
    let released = match api.end_session(DEADLINE).await {
        // Ended already is what was wanted.
        Err(failure) if failure.code() == Some("session_unknown") => None,
        other => Some(other?),
    };
    keep.forget()?;
    match released {
        Some(answer) if context.out.is_json() => context.out.json(&answer),
        Some(answer) => {
            context.out.note(&format!("session {} of {} has ended", session.id, session.role));
            if answer.leases.is_empty() { Ok(()) } else { show(context, &answer.leases) }
        }
        None => {
            context.out.note("the session had ended already");
            if context.out.is_json() { context.out.json(&serde_json::json!({ "leases": [] })) } else { Ok(()) }
        }
    }
}

//! `daypass release` (`logout`): releases every lease of the kept sessions and ends them.

use domain::wire::ReleaseAnswer;

use crate::api::no_session;
use crate::context::Context;
use crate::failure::Result;
use crate::http::DEADLINE;
use crate::verbs::lease::show;

pub(crate) async fn run(context: &Context) -> Result<()> {
    let keep = context.keep()?;
    let sessions = context.kept()?;
    if sessions.is_empty() {
        return Err(no_session());
    }
    let mut leases = Vec::new();
    let mut failed = None;
    for session in sessions {
        let ended = match context.broker_with(&session) {
            Ok(api) => api.end_session(DEADLINE).await,
            Err(failure) => Err(failure),
        };
        match ended {
            Ok(answer) => {
                context.out.note(&format!("session {} of {} has ended", session.id, session.role));
                leases.extend(answer.leases);
            }
            // Ended already is what was wanted.
            Err(failure) if failure.code() == Some("session_unknown") => {
                context.out.note(&format!("session {} of {} had ended already", session.id, session.role));
            }
            // The others are ended all the same.
            Err(failure) => {
                failed.get_or_insert(failure);
                continue;
            }
        }
        keep.forget(&session.id)?;
    }
    let released = ReleaseAnswer { leases };
    let shown = if context.out.is_json() {
        context.out.json(&released)
    } else if released.leases.is_empty() {
        Ok(())
    } else {
        show(context, &released.leases)
    };
    failed.map_or(shown, Err)
}

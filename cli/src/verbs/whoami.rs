//! `daypass whoami`: what the broker knows about the kept session.

use crate::context::Context;
use crate::failure::Result;
use crate::render::moment;

pub(crate) async fn run(context: &Context) -> Result<()> {
    let api = context.broker_with_session()?;
    let who = api.whoami().await?;
    if context.out.is_json() {
        return context.out.json(&who);
    }
    let mut pairs = vec![
        ("session", who.session_id),
        ("role", who.role),
        ("issuer", who.issuer),
        ("project", who.project.unwrap_or_else(|| "-".to_owned())),
        ("run", who.run.unwrap_or_else(|| "-".to_owned())),
        ("opened", moment(who.opened_at)),
        ("ends", moment(who.ends_at)),
    ];
    if !who.rights.is_empty() {
        pairs.push(("rights", who.rights.join(" ")));
    }
    context.out.pairs(&pairs)
}

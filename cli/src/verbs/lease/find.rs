//! `daypass lease find`: whose is this? The string is read from standard input: on a command line `ps` and the shell's history
//! would keep it.

use std::path::Path;

use zeroize::Zeroizing;

use super::list::pairs;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::input::{STANDARD_INPUT, read};
use crate::render::moment;

pub(super) async fn run(context: &Context) -> Result<()> {
    let api = context.operators()?;
    let input = read(Path::new(STANDARD_INPUT))?;
    let text = Zeroizing::new(input.text.trim().to_owned());
    if text.is_empty() {
        return Err(Failure::usage("standard input is empty").fix("give the string found: daypass lease find < FILE"));
    }
    let answer = api.find_owner(&text).await?;
    if context.out.is_json() {
        return context.out.json(&answer);
    }
    if answer.found.is_empty() {
        return context.out.text("nobody's: this broker has not handed it out, or ended it more than seven days ago\n");
    }
    for (at, owner) in answer.found.iter().enumerate() {
        if at > 0 {
            context.out.text("\n")?;
        }
        let mut told = vec![("it is the", owner.what.clone())];
        if let Some(lease) = &owner.lease {
            told.extend(pairs(lease));
        } else {
            let session = &owner.session;
            let project = session.project_name.clone().or_else(|| session.project.clone());
            told.extend([
                ("session", session.id.clone()),
                ("role", session.role.clone()),
                ("issuer", session.issuer.clone()),
                ("project", project.unwrap_or_else(|| "-".to_owned())),
                ("run", session.run.clone().unwrap_or_else(|| "-".to_owned())),
                ("opened", moment(session.opened_at)),
                ("ends", moment(session.ends_at)),
            ]);
            told.extend(session.ended_at.map(|at| ("ended", moment(at))));
        }
        context.out.pairs(&told)?;
    }
    Ok(())
}

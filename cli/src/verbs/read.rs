//! `daypass read CREDENTIAL.FIELD`: one value on standard output.

use clap::Args;

use crate::args::Asking;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::count;
use crate::verbs::env::keep_for_release;
use crate::verbs::obtain::obtain;

#[derive(Args, Debug)]
pub(crate) struct Read {
    /// The credential, with the field where it has several: db.password. Every call issues anew: take values that belong
    /// together from one `exec` or `env`
    #[arg(value_name = "CREDENTIAL[.FIELD]")]
    pub(crate) what: String,
    /// Do not add a newline
    #[arg(short = 'n', long)]
    pub(crate) no_newline: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

pub(crate) async fn run(context: &Context, mut read: Read) -> Result<()> {
    read.asking.tidy();
    let (name, field) = match read.what.split_once('.') {
        Some((name, field)) => (name, Some(field)),
        None => (read.what.as_str(), None),
    };
    let obtained = obtain(context, &read.asking, &[name.to_owned()]).await?;
    keep_for_release(context, &obtained);
    let credential = obtained
        .issued
        .credentials
        .iter()
        .find(|credential| credential.name == name)
        .ok_or_else(|| Failure::unreachable(format!("the broker's answer holds no credential {name}")))?;
    let names = credential.field_names();
    let value = match (field, names.as_slice()) {
        (Some(field), _) => credential.field(field),
        (None, [only]) => credential.field(only),
        (None, _) => None,
    };
    let Some(value) = value else {
        for (what, failure) in obtained.release().await {
            context.out.warning(&what, &failure);
        }
        let wrong = field.map_or_else(
            || format!("{name} has {}", count(names.len(), "field")),
            |field| format!("{name} has no field {field}"),
        );
        return Err(Failure::usage(wrong).fix(format!("name one of: {}", names.join(", "))));
    };
    if context.out.is_json() {
        return context.out.json(value.expose());
    }
    context.out.raw(value.expose().as_bytes())?;
    if read.no_newline { Ok(()) } else { context.out.raw(b"\n") }
}

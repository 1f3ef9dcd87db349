//! `daypass secret …`: stored secrets, for operators. Values come from standard input or a file, never from the command line,
//! where `ps` and the shell's history would keep them.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::wire::{SecretHistory, SecretWrite};
use zeroize::Zeroizing;

use crate::api::SecretPath;
use crate::args::name_and_value;
use crate::context::Context;
use crate::deliver::github::add_mask;
use crate::failure::{Failure, Result};
use crate::input::{Input, STANDARD_INPUT, read};
use crate::render::moment;

const AT: &str = "Where it lies, mount first: what a policy without `mount` calls shop/registry is secret/shop/registry";

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Write a new version: a JSON object, read from standard input or a file
    Put(Put),
    /// Print a secret
    Get(Get),
    /// List what lies directly below a path
    List {
        #[arg(value_name = "MOUNT[/PATH]", help = AT)]
        at: SecretPath,
    },
    /// List the versions of a secret, without its values
    History {
        #[arg(value_name = "MOUNT/PATH", help = AT)]
        at: SecretPath,
    },
    /// Make an earlier version the newest again
    Rollback {
        #[arg(value_name = "MOUNT/PATH", help = AT)]
        at: SecretPath,
        /// The version whose values are wanted back
        #[arg(long, value_name = "VERSION")]
        to: u32,
    },
    /// Delete versions; they can be rolled back to until they are destroyed
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(crate) struct Put {
    #[arg(value_name = "MOUNT/PATH", help = AT)]
    at: SecretPath,
    /// Where the JSON object stands, instead of standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write only if this is the current version; 0: only if there is no such secret
    #[arg(long, value_name = "VERSION")]
    cas: Option<u32>,
    /// A note beside the secret, in clear; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    metadata: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct Get {
    #[arg(value_name = "MOUNT/PATH", help = AT)]
    at: SecretPath,
    /// The version; the newest unless told
    #[arg(long)]
    version: Option<u32>,
    /// Print this field only, as it is
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[arg(value_name = "MOUNT/PATH", help = AT)]
    at: SecretPath,
    /// Which versions, separated by commas; the newest unless told
    #[arg(long, value_delimiter = ',')]
    versions: Vec<u32>,
    /// Remove them for good
    #[arg(long)]
    destroy: bool,
}

pub(crate) async fn run(context: &Context, secret: Secret) -> Result<()> {
    let api = context.secrets()?;
    match secret {
        Secret::Put(put) => {
            let write = SecretWrite {
                data: read_object(put.file.as_deref())?,
                cas: put.cas,
                metadata: (!put.metadata.is_empty()).then(|| put.metadata.into_iter().collect::<BTreeMap<_, _>>()),
            };
            let written = api.put_secret(&put.at, &write).await?;
            said(context, &written, &format!("{} is now at version {}", put.at, written.version))
        }
        Secret::Get(get) => {
            let answer = api.get_secret(&get.at, get.version).await?;
            if context.env.in_github() {
                strings(&answer.data).into_iter().for_each(add_mask);
            }
            match (get.field, context.out.is_json()) {
                (Some(field), _) => {
                    let value = answer.data.get(&field).ok_or_else(|| {
                        let names: Vec<&str> =
                            answer.data.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                        Failure::usage(format!("{} has no field {field}", get.at))
                            .fix(format!("name one of: {}", names.join(", ")))
                    })?;
                    let text = Zeroizing::new(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                    context.out.raw(text.as_bytes())?;
                    context.out.raw(b"\n")
                }
                (None, true) => context.out.json(&answer),
                (None, false) => context.out.json(&answer.data),
            }
        }
        Secret::List { at } => {
            let list = api.list_secrets(&at).await?;
            if context.out.is_json() {
                return context.out.json(&list);
            }
            context.out.table(["PATH"], &list.paths.into_iter().map(|path| [path]).collect::<Vec<_>>())
        }
        Secret::History { at } => {
            let history = api.secret_history(&at).await?;
            if context.out.is_json() { context.out.json(&history) } else { show_history(context, &history) }
        }
        Secret::Rollback { at, to } => {
            let written = api.roll_back_secret(&at, to).await?;
            said(context, &written, &format!("{at} is now at version {}, with the values of version {to}", written.version))
        }
        Secret::Delete(delete) => {
            let left = api.delete_secret(&delete.at, &delete.versions, delete.destroy).await?;
            let done = if delete.destroy { "destroyed" } else { "deleted" };
            said(context, &left, &format!("{done} in {}", delete.at))
        }
    }
}

fn said(context: &Context, answer: &impl serde::Serialize, text: &str) -> Result<()> {
    if context.out.is_json() {
        return context.out.json(answer);
    }
    context.out.note(text);
    Ok(())
}

fn show_history(context: &Context, history: &SecretHistory) -> Result<()> {
    let rows: Vec<[String; 3]> = history
        .versions
        .iter()
        .map(|version| {
            let state = match (version.destroyed, version.deleted_at) {
                (true, _) => "destroyed".to_owned(),
                (false, Some(at)) => format!("deleted {}", moment(at)),
                (false, None) if version.version == history.current => "current".to_owned(),
                (false, None) => "-".to_owned(),
            };
            [version.version.to_string(), moment(version.created_at), state]
        })
        .collect();
    context.out.table(["VERSION", "CREATED", "STATE"], &rows)?;
    let notes: Vec<(&str, String)> = history.metadata.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    if notes.is_empty() { Ok(()) } else { context.out.pairs(&notes) }
}

fn read_object(file: Option<&Path>) -> Result<serde_json::Value> {
    let file = file.unwrap_or(Path::new(STANDARD_INPUT));
    if file == Path::new(STANDARD_INPUT) && std::io::stdin().is_terminal() {
        return Err(Failure::usage("the secret comes from standard input or a file, and standard input is a terminal")
            .fix("pipe a JSON object in, or name a file with --file"));
    }
    let Input { place, text } = read(file)?;
    // The reader's message could quote the secret; its place is enough.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{place} is not JSON (line {}, column {})", error.line(), error.column()))
            .fix(r#"write it as {"name": "value"}"#)
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::usage(format!("{place} is not a JSON object")).fix(r#"write it as {"name": "value"}"#))
    }
}

/// Every text in a value, however deep.
fn strings(value: &serde_json::Value) -> Vec<&str> {
    match value {
        serde_json::Value::String(text) => vec![text],
        serde_json::Value::Array(items) => items.iter().flat_map(strings).collect(),
        serde_json::Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

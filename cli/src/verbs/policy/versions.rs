//! `daypass policy apply|list|show|rollback|approve|withdraw|shadow`: versions of the policy set at a broker, for operators.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::wire::{
    PolicyAuthor, PolicyFile, PolicyList, PolicyOutcome, PolicyPush, PolicyPushed, PolicyTerms, PolicyWithdrawal,
};

use crate::context::Context;
use crate::failure::Result;
use crate::policy::read_folder;
use crate::render::{STRONG, clean, moment, short_moment};

/// So much of a hash tells one set from another.
const SHORT: usize = 12;

#[derive(Debug, Subcommand)]
pub(crate) enum Versions {
    /// Check a policy set at the broker and put it in place on every replica
    Apply {
        /// The folder of the set
        #[arg(default_value = "policies")]
        folder: PathBuf,
        #[command(flatten)]
        terms: Terms,
        /// Have it look on: what it would have decided otherwise is recorded, and it decides nothing
        #[arg(long, conflicts_with = "lock_out")]
        shadow: bool,
    },
    /// The active policy set, the ones before, and those that wait for a second operator
    List,
    /// One policy set that the broker has stored
    Show {
        /// The set's hash, or 8 or more digits that it begins with
        hash: String,
        /// Its files too
        #[arg(long)]
        files: bool,
    },
    /// Make an earlier policy set the active one again
    Rollback {
        /// The set's hash, or 8 or more digits that it begins with
        hash: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Make a policy set the active one that waits for a second operator
    Approve {
        /// The set's whole hash, as `daypass policy show` tells it
        hash: String,
    },
    /// Take back a policy set that waits for a second operator: yours, or any with the right policy.write or policy.approve
    Withdraw {
        /// The set's hash, or 8 or more digits that it begins with
        hash: String,
    },
    /// Show which policy set looks on beside the active one
    Shadow {
        /// Have none look on any more
        #[arg(long)]
        clear: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// The set that the change was made from; refused when another one is active
    #[arg(long, value_name = "HASH")]
    from: Option<String>,
    /// Only tell what would happen
    #[arg(long)]
    dry_run: bool,
    /// Even when you cannot change the policy any more afterwards
    #[arg(long)]
    lock_out: bool,
}

impl From<Terms> for PolicyTerms {
    fn from(Terms { from, dry_run, lock_out }: Terms) -> Self {
        Self { from, dry_run, lock_out }
    }
}

pub(crate) async fn run(context: &Context, verb: Versions) -> Result<()> {
    let pushed = match verb {
        Versions::Apply { folder, terms, shadow } => {
            let files = read_folder(&folder)?.into_iter().map(|file| PolicyFile { path: file.path, text: file.text });
            let push = PolicyPush { files: files.collect(), terms: terms.into(), shadow };
            context.operators()?.apply_policy(&push).await?
        }
        Versions::Rollback { hash, terms } => context.operators()?.activate_policy(&hash, &terms.into()).await?,
        Versions::Approve { hash } => context.operators()?.approve_policy(&hash).await?,
        Versions::Withdraw { hash } => return withdrawn(context, &context.operators()?.withdraw_policy(&hash).await?),
        Versions::List => return list(context, &context.operators()?.policies().await?),
        Versions::Show { hash, files } => return show(context, &hash, files).await,
        Versions::Shadow { clear } => {
            let api = context.operators()?;
            let shadow = if clear { api.clear_policy_shadow().await?.shadow } else { api.policies().await?.shadow };
            if context.out.is_json() {
                return context.out.json(&serde_json::json!({ "shadow": shadow }));
            }
            return context.out.pairs(&[("looks on", shadow.unwrap_or_else(|| "none".to_owned()))]);
        }
    };
    told(context, &pushed)
}

fn told(context: &Context, pushed: &PolicyPushed) -> Result<()> {
    if context.out.is_json() {
        return context.out.json(pushed);
    }
    let outcome = match pushed.outcome {
        PolicyOutcome::Sound if pushed.needs_approval => "sound; it would wait for a second operator; nothing was changed",
        PolicyOutcome::Sound => "sound; nothing was changed",
        PolicyOutcome::Unchanged => "active already",
        PolicyOutcome::Activated => "active on every replica within 5 seconds",
        PolicyOutcome::Proposed => "waits for a second operator",
        PolicyOutcome::Shadowed => "looks on",
    };
    let mut pairs = vec![("set", pushed.hash.clone()), ("outcome", outcome.to_owned()), ("before", pushed.was.clone())];
    pairs.extend(pushed.adds.iter().map(|added| ("adds", added.clone())));
    context.out.pairs(&pairs)?;
    let note = match pushed.outcome {
        PolicyOutcome::Proposed => {
            let (hash, short) = (&pushed.hash, short(&pushed.hash));
            format!("another operator: daypass policy approve {hash}; to take it back: daypass policy withdraw {short}")
        }
        PolicyOutcome::Activated => format!("go back with: daypass policy rollback {}", short(&pushed.was)),
        PolicyOutcome::Shadowed => "see what it would have decided otherwise in the audit trail, fields shadow.*".to_owned(),
        PolicyOutcome::Sound | PolicyOutcome::Unchanged => return Ok(()),
    };
    context.out.note(&note);
    Ok(())
}

fn withdrawn(context: &Context, withdrawn: &PolicyWithdrawal) -> Result<()> {
    if context.out.is_json() {
        return context.out.json(withdrawn);
    }
    context.out.pairs(&[
        ("set", withdrawn.hash.clone()),
        ("outcome", "withdrawn; nobody can approve it any more".to_owned()),
        ("author", author(Some(&withdrawn.author))),
    ])
}

fn list(context: &Context, list: &PolicyList) -> Result<()> {
    if context.out.is_json() {
        return context.out.json(list);
    }
    let waiting = list.proposals.iter().map(|proposal| {
        let state = if proposal.stale { "waits, but another set is active since" } else { "waits for a second operator" };
        let (at, who) = (short_moment(proposal.at), author(Some(&proposal.author)));
        [short(&proposal.hash), at, state.to_owned(), who, "-".to_owned(), proposal.reason.clone()]
    });
    let withdrawn = list.withdrawn.iter().map(|withdrawn| {
        let state = format!("withdrawn by {}", withdrawn.by.name);
        let (at, who) = (short_moment(withdrawn.at), author(Some(&withdrawn.author)));
        [short(&withdrawn.hash), at, state, who, "-".to_owned(), withdrawn.reason.clone()]
    });
    let mut current = true;
    let active = list.activations.iter().map(|activation| {
        let is_active = activation.hash == list.active && std::mem::take(&mut current);
        let looks_on = list.shadow.as_ref() == Some(&activation.hash);
        let state = if is_active {
            "active"
        } else if looks_on {
            "looks on"
        } else {
            "-"
        };
        let (author, approver) = (author(activation.author.as_ref()), author(activation.approver.as_ref()));
        [short(&activation.hash), short_moment(activation.at), state.to_owned(), author, approver, activation.source.clone()]
    });
    let rows: Vec<[String; 6]> = waiting.chain(active).chain(withdrawn).collect();
    context.out.table(["SET", "AT (UTC)", "STATE", "AUTHOR", "APPROVED BY", "FROM"], &rows)?;
    if let Some(shadow) = &list.shadow {
        context.out.note(&format!("{} looks on", short(shadow)));
    }
    if list.source == "folder" {
        context.out.note("this broker takes its set from a folder: it cannot be applied or rolled back from here");
    }
    Ok(())
}

async fn show(context: &Context, hash: &str, files: bool) -> Result<()> {
    let mut set = context.operators()?.policy(hash).await?;
    if context.out.is_json() {
        if !files {
            set.files.clear();
        }
        return context.out.json(&set);
    }
    let mut pairs = vec![("set", set.hash.clone()), ("stored", moment(set.stored_at))];
    pairs.push(("active", if set.active { "yes" } else { "no" }.to_owned()));
    if let Some(proposal) = &set.proposal {
        pairs.push(("waits", format!("since {}: {}", moment(proposal.at), proposal.reason)));
        pairs.push(("author", format!("{} (session {})", proposal.author.name, proposal.author.session_id)));
    }
    for withdrawn in &set.withdrawn {
        let (from, to) = (moment(withdrawn.proposed_at), moment(withdrawn.at));
        pairs.push(("waited", format!("{from} to {to}, withdrawn by {}: {}", withdrawn.by.name, withdrawn.reason)));
    }
    for activation in &set.activations {
        let by =
            |who: &Option<PolicyAuthor>, word: &str| who.as_ref().map(|who| format!("{word}{}", who.name)).unwrap_or_default();
        let (author, approver) = (by(&activation.author, ", by "), by(&activation.approver, ", approved by "));
        pairs.push(("activated", format!("{}, from {}{author}{approver}", moment(activation.at), activation.source)));
    }
    pairs.extend(set.files.iter().map(|file| ("file", file.path.clone())));
    context.out.pairs(&pairs)?;
    if files {
        let mut text = String::new();
        for file in &set.files {
            let _ = writeln!(text, "\n{STRONG}# {}{STRONG:#}", clean(&file.path));
            file.text.lines().for_each(|line| {
                let _ = writeln!(text, "{}", clean(line));
            });
        }
        context.out.text(&text)?;
    }
    if set.proposal.is_some() {
        context.out.note(&format!("let it through with: daypass policy approve {}", set.hash));
    }
    Ok(())
}

fn author(author: Option<&PolicyAuthor>) -> String {
    author.map_or_else(|| "-".to_owned(), |author| author.name.clone())
}

fn short(hash: &str) -> String {
    hash.chars().take(SHORT).collect()
}

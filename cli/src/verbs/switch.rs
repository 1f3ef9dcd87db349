//! `daypass issuer|role list|disable|enable`: switched off by name at every broker process, for operators.

use clap::{Args, Subcommand};
use domain::wire::{Disabled, SwitchList, SwitchRequest};

use crate::context::Context;
use crate::failure::Result;
use crate::render::short_moment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Issuer,
    Role,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Switch {
    /// All of the active policy set, with what is switched off
    List,
    /// Refuse whoever comes by it, at every broker process within five seconds; what is out stays out until its end
    Disable(Disable),
    /// Let it in again
    Enable {
        /// Its name in the policy set
        name: String,
        /// Why, for those who ask later
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Disable {
    /// Its name in the policy set
    name: String,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Even when you came in by it yourself: after this session you cannot switch it on again
    #[arg(long)]
    lock_out: bool,
}

pub(crate) async fn run(context: &Context, what: What, switch: Switch) -> Result<()> {
    let api = context.operators()?;
    let request = |name: String, disabled, reason, lock_out| {
        let (issuer, role) = if what == What::Issuer { (Some(name), None) } else { (None, Some(name)) };
        SwitchRequest { issuer, role, disabled, reason, lock_out }
    };
    let list = match switch {
        Switch::List => api.switches().await?,
        Switch::Disable(Disable { name, reason, lock_out }) => api.switch(&request(name, true, reason, lock_out)).await?,
        Switch::Enable { name, reason } => api.switch(&request(name, false, reason, false)).await?,
    };
    shown(context, what, list)
}

fn shown(context: &Context, what: What, list: SwitchList) -> Result<()> {
    let SwitchList { issuers, roles } = list;
    if context.out.is_json() {
        return if what == What::Issuer { context.out.json(&issuers) } else { context.out.json(&roles) };
    }
    if what == What::Issuer {
        let rows = issuers.into_iter().map(|issuer| {
            let policy = if issuer.enabled { "on" } else { "off in the policy set" };
            let [state, since, why] = state(issuer.disabled.as_ref(), policy);
            [issuer.name, issuer.kind, issuer.url, state, since, why]
        });
        return context.out.table(["ISSUER", "KIND", "URL", "STATE", "SINCE (UTC)", "WHY"], &rows.collect::<Vec<_>>());
    }
    let rows = roles.into_iter().map(|role| {
        let [state, since, why] = state(role.disabled.as_ref(), if role.shadow { "rehearsed" } else { "on" });
        [role.name, role.issuers.join(", "), state, since, why]
    });
    context.out.table(["ROLE", "ISSUERS", "STATE", "SINCE (UTC)", "WHY"], &rows.collect::<Vec<_>>())
}

fn state(disabled: Option<&Disabled>, policy: &str) -> [String; 3] {
    match disabled {
        Some(disabled) => ["disabled".to_owned(), short_moment(disabled.since), disabled.reason.clone()],
        None => [policy.to_owned(), "-".to_owned(), "-".to_owned()],
    }
}

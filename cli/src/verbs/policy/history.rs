//! What the broker decided lately, page by page.

use std::collections::BTreeMap;

use clap::Args;
use domain::policy::simulate::is_of_the_set;
use domain::wire::{Decision, DecisionQuery};
use serde::Serialize;
use time::OffsetDateTime;

use crate::context::Context;
use crate::failure::Result;
use crate::render::{FAINT, STRONG, count, moment};

#[derive(Args, Debug)]
pub(super) struct Window {
    /// How many days back
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub(super) days: u32,
}

/// What was read, beside the decisions themselves.
#[derive(Debug, Serialize)]
pub(super) struct Past {
    pub(super) days: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) since: OffsetDateTime,
    pub(super) decisions: u64,
    /// Refusals of the policy that the broker only counted, by code.
    pub(super) only_counted: BTreeMap<String, u64>,
}

impl Past {
    /// How many refusals are known by their number only.
    pub(super) fn counted(&self) -> u64 {
        self.only_counted.values().sum()
    }

    /// The first line of an answer, and what it does not know.
    pub(super) fn describe(&self, text: &mut String) {
        use std::fmt::Write as _;
        let decisions = number(self.decisions, "decision");
        let _ = writeln!(text, "{STRONG}{decisions}{STRONG:#} since {}", moment(self.since));
        if self.counted() > 0 {
            let codes: Vec<String> = self.only_counted.iter().map(|(code, count)| format!("{count} {code}")).collect();
            let were = if self.counted() == 1 { "was" } else { "were" };
            let denials = number(self.counted(), "denial");
            let _ = writeln!(
                text,
                "{FAINT}{denials} {were} not recorded in full and {were} not looked at ({}){FAINT:#}",
                codes.join(", ")
            );
        }
    }
}

/// Hands every decision of the window to `each`, the newest first.
pub(super) async fn read(context: &Context, window: &Window, mut each: impl FnMut(&Decision)) -> Result<Past> {
    let api = context.operators()?;
    let mut query = DecisionQuery { days: Some(window.days), limit: Some(1_000), before: None };
    let mut page = api.decisions(&query).await?;
    let only_counted = std::mem::take(&mut page.only_counted).into_iter().filter(|(code, _)| is_of_the_set(code)).collect();
    let mut past = Past { days: window.days, since: page.since, decisions: 0, only_counted };
    loop {
        for decision in &page.decisions {
            past.decisions += 1;
            each(decision);
        }
        context.out.progress_of(past.decisions, "decisions read");
        let Some(next) = page.next else { break };
        query.before = Some(next);
        page = api.decisions(&query).await?;
    }
    context.out.progress_ends();
    Ok(past)
}

/// A number that may be larger than an address space, in words.
pub(super) fn number(n: u64, noun: &str) -> String {
    usize::try_from(n).map_or_else(|_| format!("{n} {noun}s"), |n| count(n, noun))
}

//! `daypass policy simulate`: what a set would have done to the jobs of the last days.

mod markdown;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use domain::policy::simulate::{Group, Replay, Simulation};
use serde::Serialize;

use super::history::{self, Past, Window, number};
use super::load;
use crate::args::Format;
use crate::context::Context;
use crate::failure::Result;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, moment};

/// How many groups of a kind people are shown; `--format json` has all.
const SHOWN: usize = 40;

#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
    #[command(flatten)]
    window: Window,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    past: Past,
    #[serde(flatten)]
    simulation: Simulation,
}

/// The exit code: 0 when every decision is known to come out as it did.
pub(super) async fn run(context: &Context, ask: Simulate) -> Result<u8> {
    let set = load::folder(&ask.folder)?;
    let mut replay = Replay::new(&set);
    let past = history::read(context, &ask.window, |decision| replay.take(decision)).await?;
    let answer = Answer { past, simulation: replay.finish() };
    let code = u8::from(!answer.simulation.is_unchanged());
    match context.out.format {
        Format::Json => context.out.json(&answer)?,
        Format::Markdown => context.out.raw(markdown::page(&answer.past, &answer.simulation).as_bytes())?,
        Format::Text | Format::Sarif | Format::Github => {
            let mut text = String::new();
            answer.past.describe(&mut text);
            describe(&mut text, &answer.simulation);
            context.out.text(&text)?;
        }
    }
    Ok(code)
}

/// The kinds of change with their heads, in the order of their weight.
fn sections(simulation: &Simulation) -> [(&'static str, &[Group]); 4] {
    [
        ("newly allowed", simulation.newly_allowed.as_slice()),
        ("newly denied", simulation.newly_denied.as_slice()),
        ("given another role", simulation.other_role.as_slice()),
        ("not known", simulation.unsure.as_slice()),
    ]
}

fn total(groups: &[Group]) -> u64 {
    groups.iter().map(|group| group.count).sum()
}

fn describe(text: &mut String, simulation: &Simulation) {
    for (head, groups) in sections(simulation).into_iter().filter(|(_, groups)| !groups.is_empty()) {
        let _ = writeln!(text, "\n{BAD}{head}{BAD:#}: {}", number(total(groups), "decision"));
        let lines: Vec<[String; 5]> = groups.iter().take(SHOWN).map(columns).collect();
        let mut widths = [0; 5];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (group, [count, project, git_ref, trigger, outcome]) in groups.iter().zip(&lines) {
            let [count_width, project_width, ref_width, trigger_width, _] = widths;
            let _ = writeln!(
                text,
                "  {STRONG}{count:>count_width$}{STRONG:#}  {project:project_width$}  {git_ref:ref_width$}  {trigger:trigger_width$}  {outcome}"
            );
            details(text, group);
        }
        if groups.len() > SHOWN {
            let _ =
                writeln!(text, "  {FAINT}and {} more kinds of job: --format json has them all{FAINT:#}", groups.len() - SHOWN);
        }
    }
    let same = number(simulation.unchanged, "decision");
    if simulation.is_unchanged() {
        let _ = writeln!(text, "{GOOD}no change{GOOD:#}: {same} would come out as they did");
    } else {
        let _ = writeln!(text, "\n{same} would come out as they did");
    }
    if simulation.not_asked > 0 {
        let others = number(simulation.not_asked, "refusal");
        let _ = writeln!(text, "{FAINT}{others} had nothing to do with the policy (rates, used tokens, stops){FAINT:#}");
    }
}

fn columns(group: &Group) -> [String; 5] {
    let or_none = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), clean);
    let project = group.jobs.project_name.as_ref().or(group.jobs.project.as_ref()).cloned();
    [
        format!("{}×", group.count),
        or_none(&project),
        or_none(&group.jobs.git_ref),
        or_none(&group.jobs.trigger),
        clean(&outcome(group)),
    ]
}

/// `shop-deploy: allow → role_not_allowed`.
fn outcome(group: &Group) -> String {
    let role = group.jobs.role.as_deref().unwrap_or("any role");
    let now = match (&group.now, &group.new_role) {
        (None, _) => "not known".to_owned(),
        (Some(_), Some(other)) if Some(other) != group.jobs.role.as_ref() => format!("allow {other}"),
        (Some(now), _) => now.clone(),
    };
    format!("{role}: {} → {now}", group.then)
}

fn details(text: &mut String, group: &Group) {
    let workflow = group.jobs.workflow.clone().map(|workflow| ("workflow", workflow));
    let environment = group.jobs.environment.clone().map(|environment| ("environment", environment));
    let run = group.run_url.clone().unwrap_or_else(|| format!("decision {}", group.decision_id));
    let last = format!("{}  {run}", moment(group.last));
    let lines = workflow.into_iter().chain(environment).chain([("why", group.why.clone()), ("last", last)]);
    for (name, value) in lines {
        let _ = writeln!(text, "      {FAINT}{name:11}{FAINT:#}  {}", clean(&value));
    }
}

//! The answer as a comment on a pull request. Names of refs and workflows are chosen by whoever writes to a repository, so
//! they stand in code spans, where they can neither mention people nor draw links.

use std::fmt::Write as _;

use domain::policy::simulate::{Group, Simulation};

use super::{SHOWN, outcome, sections, total};
use crate::render::moment;
use crate::verbs::policy::history::{Past, number};
use crate::verbs::policy::tokens::code;

pub(super) fn page(past: &Past, simulation: &Simulation) -> String {
    let mut text = String::from("### Policy simulation\n\n");
    let decisions = number(past.decisions, "decision");
    let _ = write!(text, "{decisions} of the last {} days; ", past.days);
    if simulation.is_unchanged() {
        text.push_str("**no change**.\n");
    } else {
        let kinds = sections(simulation).into_iter().filter(|(_, groups)| !groups.is_empty());
        let kinds: Vec<String> = kinds.map(|(head, groups)| format!("**{} {head}**", total(groups))).collect();
        let _ = writeln!(text, "{}, {} unchanged.", kinds.join(", "), simulation.unchanged);
    }
    if past.counted() > 0 {
        let _ = writeln!(text, "\n{} not recorded in full and not looked at.", number(past.counted(), "denial"));
    }
    for (head, groups) in sections(simulation).into_iter().filter(|(_, groups)| !groups.is_empty()) {
        let _ = writeln!(text, "\n#### {} {head}\n", total(groups));
        text.push_str("| count | repository | ref | workflow | outcome | why | last |\n|---:|---|---|---|---|---|---|\n");
        for group in groups.iter().take(SHOWN) {
            row(&mut text, group);
        }
        if groups.len() > SHOWN {
            let _ = writeln!(text, "\nand {} more kinds of job", groups.len() - SHOWN);
        }
    }
    text
}

fn row(text: &mut String, group: &Group) {
    let jobs = &group.jobs;
    let optional = |value: Option<&String>| value.map_or_else(|| "–".to_owned(), |value| code(value));
    let project = optional(jobs.project_name.as_ref().or(jobs.project.as_ref()));
    let (git_ref, workflow) = (optional(jobs.git_ref.as_ref()), optional(jobs.workflow.as_ref()));
    let at = moment(group.last);
    let last = match group.run_url.as_deref().filter(|url| is_plain_link(url)) {
        Some(url) => format!("[{at}](<{url}>)"),
        None => at,
    };
    let (outcome, why) = (code(&outcome(group)), code(&group.why));
    let _ = writeln!(text, "| {} | {project} | {git_ref} | {workflow} | {outcome} | {why} | {last} |", group.count);
}

fn is_plain_link(url: &str) -> bool {
    url.starts_with("https://")
        && url.chars().all(|sign| sign.is_ascii_graphic() && !matches!(sign, '<' | '>' | '|' | '`' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_of_ci_systems() {
        assert!(is_plain_link("https://github.com/acme/shop/actions/runs/1"));
        assert!(!is_plain_link("https://x.example/>)[click](javascript:1)") && !is_plain_link("javascript:1"));
    }
}

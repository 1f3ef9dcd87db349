//! Reports for people.

use std::fmt::Write as _;

use anstyle::Style;
use domain::policy::{CaseOutcome, Finding, Severity};

use super::check::Checked;
use super::{annotations, snippet, unread};
use crate::context::Context;
use crate::explanation::Explanation;
use crate::failure::Result;
use crate::render::{BAD, FAINT, GOOD, NOTE, STRONG, WARNING, clean, count};

/// Every finding with its line, every failed case with its explanation, and a line that sums up.
pub(super) fn report(context: &Context, checked: &Checked) -> Result<()> {
    let mut text = String::new();
    for finding in checked.findings.iter().filter(|finding| finding.accepted.is_none()) {
        describe(&mut text, checked, finding);
    }
    let unread = unread::of(&checked.folder, &checked.report);
    if !unread.is_empty() {
        let files = clean(&unread.join(", "));
        let _ =
            writeln!(text, "{NOTE}note{NOTE:#}{STRONG}: not read, since their names do not end in .toml{STRONG:#}: {files}\n");
    }
    failed(&mut text, &checked.report.cases)?;
    if context.env.in_github() {
        text.push_str(&annotations::all(checked));
    }
    summary(&mut text, checked);
    context.out.text(&text)
}

fn describe(text: &mut String, checked: &Checked, finding: &Finding) {
    let Finding { severity, rule, place, message, help, .. } = finding;
    let style = style(*severity);
    let margin = place.line.to_string().len();
    let path = checked.folder.join(&place.file);
    let _ = writeln!(text, "{style}{}[{rule}]{style:#}{STRONG}: {}{STRONG:#}", severity.as_str(), clean(message));
    let _ = writeln!(
        text,
        "{:margin$}{FAINT}-->{FAINT:#} {}:{}:{}",
        "",
        clean(&path.display().to_string()),
        place.line,
        place.column
    );
    if let Some(snippet) = snippet::of(&checked.files, place) {
        let _ = writeln!(text, "{:margin$} {FAINT}|{FAINT:#}", "");
        let _ = writeln!(text, "{FAINT}{} |{FAINT:#} {}", place.line, snippet.line);
        let (indent, marks) = (" ".repeat(snippet.indent), "^".repeat(snippet.length));
        let _ = writeln!(text, "{:margin$} {FAINT}|{FAINT:#} {indent}{style}{marks}{style:#}", "");
    }
    if let Some(help) = help {
        let _ = writeln!(text, "{:margin$} {FAINT}={FAINT:#} {STRONG}help{STRONG:#}: {}", "", clean(help));
    }
    text.push('\n');
}

const fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
        Severity::Note => NOTE,
    }
}

/// Why cases came out as they did.
pub(super) fn failed(text: &mut String, cases: &[CaseOutcome]) -> Result<()> {
    for case in cases.iter().filter(|case| !case.passed) {
        if let Some(explanation) = &case.explanation {
            let (name, expected, got) = (clean(&case.name), &case.expected, &case.got);
            let _ = writeln!(text, "{STRONG}{name}{STRONG:#} expects {expected} and gets {got}:");
            Explanation::of(explanation)?.describe(text);
            text.push('\n');
        }
    }
    Ok(())
}

fn summary(text: &mut String, checked: &Checked) {
    let counted = [
        (checked.count(Severity::Error), "error", BAD),
        (checked.count(Severity::Warning), "warning", WARNING),
        (checked.count(Severity::Note), "note", NOTE),
    ];
    let verdict = match (&checked.report.set, checked.is_sound()) {
        (None, _) => format!("{BAD}the set cannot be loaded{BAD:#}"),
        (Some(_), false) => format!("{BAD}the set is refused{BAD:#}"),
        (Some(_), true) => format!("{GOOD}the set is sound{GOOD:#}"),
    };
    let mut parts: Vec<String> = counted
        .iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, noun, style)| format!("{style}{}{style:#}", count(*n, noun)))
        .collect();
    if checked.accepted() > 0 {
        parts.push(format!("{} accepted", checked.accepted()));
    }
    if let Some(set) = &checked.report.set {
        parts.push(cases(&checked.report.cases));
        parts.push(count(set.issuers().len(), "issuer"));
        parts.push(count(set.roles().len(), "role"));
        let held = checked.report.proofs.iter().filter(|proof| proof.holds()).count();
        let invariants = count(checked.report.proofs.len(), "invariant");
        parts.push(format!("{held} of {invariants} proven"));
    }
    let _ = writeln!(text, "{verdict}: {}", parts.join(", "));
    if let Some(hash) = checked.hash() {
        let _ = writeln!(text, "{FAINT}set {hash}{FAINT:#}");
    }
}

/// How many cases hold, in words.
pub(super) fn cases(cases: &[CaseOutcome]) -> String {
    let passed = cases.iter().filter(|case| case.passed).count();
    format!("{passed} of {} {}", count(cases.len(), "case"), if passed == 1 { "holds" } else { "hold" })
}

//! Reports and explanations for people, and for the annotations of a GitHub job.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use domain::policy::{Explanation, Problem, Report, RowTrace};

use crate::context::Context;
use crate::failure::Result;
use crate::render::clean;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

pub(super) fn report(context: &Context, folder: &Path, report: &Report) -> Result<()> {
    let mut text = String::new();
    let findings = report.findings();
    for problem in &findings {
        let Problem { file, line, column, message, rule, .. } = problem;
        let place = folder.join(file);
        let _ =
            writeln!(text, "{STRONG}{}:{line}:{column}{STRONG:#}: {} {FAINT}[{rule}]{FAINT:#}", place.display(), clean(message));
        if let Some(help) = &problem.help {
            let _ = writeln!(text, "  {}", clean(help));
        }
        if context.env.in_github() {
            let _ = writeln!(text, "{}", annotation(&place, problem));
        }
    }
    for case in report.cases.iter().filter(|case| !case.passed) {
        if let Some(explanation) = &case.explanation {
            let _ = writeln!(text, "\n{STRONG}{}{STRONG:#}", clean(&case.name));
            describe(&mut text, explanation);
        }
    }
    match &report.set {
        Some(set) => {
            let passed = report.cases.iter().filter(|case| case.passed).count();
            let style = if report.is_clean() { GOOD } else { BAD };
            let hash = set.hash().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            let _ = writeln!(
                text,
                "{style}{passed} of {} cases hold{style:#}; {} issuers, {} roles, {} invariants (not proven here)\n{FAINT}set {hash}{FAINT:#}",
                report.cases.len(),
                set.issuers().len(),
                set.roles().len(),
                report.invariants_unproven,
            );
        }
        None => {
            let _ = writeln!(text, "{BAD}{} problems{BAD:#}; the set cannot be loaded", findings.len());
        }
    }
    context.out.text(&text)
}

pub(super) fn explanation(context: &Context, explanation: &Explanation) -> Result<()> {
    let mut text = String::new();
    describe(&mut text, explanation);
    context.out.text(&text)
}

fn describe(text: &mut String, explanation: &Explanation) {
    let style = if explanation.code.is_none() { GOOD } else { BAD };
    let code = explanation.code.map_or_else(String::new, |code| format!(" {code}"));
    let _ = writeln!(text, "{style}{}{code}{style:#}: {}", explanation.outcome, clean(&explanation.summary));
    for hint in &explanation.hints {
        let _ = writeln!(text, "  {STRONG}hint{STRONG:#}  {}", clean(hint));
    }
    for miss in &explanation.near_misses {
        let _ = writeln!(text, "  {STRONG}near{STRONG:#}  {}", clean(miss));
    }
    for role in &explanation.roles {
        let mut others = 0;
        let _ = writeln!(text, "{STRONG}role {}{STRONG:#}", clean(&role.role));
        for row in &role.rows {
            if row.issuer_matches {
                describe_row(text, row);
            } else {
                others += 1;
            }
        }
        if others > 0 {
            let _ = writeln!(text, "  {FAINT}{others} rows speak of other issuers{FAINT:#}");
        }
    }
    for credential in &explanation.credentials {
        let _ = write!(text, "{STRONG}credential {}{STRONG:#} ({})", clean(&credential.name), credential.engine);
        match (&credential.problem, credential.ttl_seconds, credential.limited_by) {
            (Some(problem), _, _) => {
                let _ = writeln!(text, ": {BAD}{}{BAD:#}", clean(problem));
            }
            (None, Some(seconds), Some(by)) => {
                let _ = writeln!(text, ": {seconds} s, limited by {by}");
            }
            _ => text.push('\n'),
        }
    }
}

fn describe_row(text: &mut String, row: &RowTrace) {
    let verdict = if row.matches { "matches" } else { "does not match" };
    let _ = writeln!(text, "  row {} ({}:{}) {verdict}", row.row + 1, clean(&row.file), row.line);
    let width = row.conditions.iter().map(|condition| condition.claim.chars().count()).max().unwrap_or(0);
    for condition in &row.conditions {
        let (style, sign) = if condition.holds { (GOOD, "ok") } else { (BAD, "no") };
        let actual = condition.actual.as_deref().unwrap_or("(missing)");
        let _ = write!(text, "    {style}{sign}{style:#}  {:width$}  {}", clean(&condition.claim), clean(&condition.expected));
        let _ = if condition.holds && condition.expected == actual {
            writeln!(text)
        } else {
            writeln!(text, "  {FAINT}is{FAINT:#} {}", clean(actual))
        };
    }
    for veto in row.vetoes.iter().filter(|veto| veto.strikes) {
        let actual = veto.actual.as_deref().unwrap_or("(missing)");
        let (style, verdict) =
            veto.waived.as_ref().map_or((BAD, veto.reason.to_owned()), |reason| (GOOD, format!("waived: {}", clean(reason))));
        let _ = writeln!(
            text,
            "    {style}veto{style:#} {}  {} {FAINT}is{FAINT:#} {}  {verdict}",
            veto.name,
            veto.claim,
            clean(actual)
        );
    }
}

/// Shows a problem beside its line in a pull request.
fn annotation(place: &Path, problem: &Problem) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::error file={},line={},endLine={},col={},title={}::{}",
        property(&place.display().to_string()),
        problem.line,
        problem.end_line,
        problem.column,
        property(problem.rule),
        data(&problem.to_string()),
    )
}

//! Reports for people, and for the annotations of a GitHub job.

use std::fmt::Write as _;
use std::path::Path;

use domain::policy::{Problem, Report};

use crate::context::Context;
use crate::deliver::github::escape;
use crate::explanation::Explanation;
use crate::failure::Result;
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, count};

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
            Explanation::of(explanation)?.describe(&mut text);
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
                "{style}{passed} of {} {}{style:#}; {}, {}, {} (not proven here)\n{FAINT}set {hash}{FAINT:#}",
                count(report.cases.len(), "case"),
                if passed == 1 { "holds" } else { "hold" },
                count(set.issuers().len(), "issuer"),
                count(set.roles().len(), "role"),
                count(report.invariants_unproven, "invariant"),
            );
        }
        None => {
            let _ = writeln!(text, "{BAD}{}{BAD:#}; the set cannot be loaded", count(findings.len(), "problem"));
        }
    }
    context.out.text(&text)
}

/// Shows a problem beside its line in a pull request.
fn annotation(place: &Path, problem: &Problem) -> String {
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::error file={},line={},endLine={},col={},title={}::{}",
        property(&place.display().to_string()),
        problem.line,
        problem.end_line,
        problem.column,
        property(problem.rule),
        escape(&problem.to_string()).as_str(),
    )
}

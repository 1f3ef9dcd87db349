//! `daypass policy test`: the cases, and what they do not exercise.

use std::path::PathBuf;

use clap::Args;
use domain::policy::{CaseOutcome, Coverage, RowCoverage, coverage};
use serde::Serialize;

use super::check::Checked;
use super::show;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::{BAD, GOOD, count};

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Tell which rows no case lets in, and which conditions keep no case out alone
    #[arg(long)]
    coverage: bool,
    /// What is not exercised counts as failed
    #[arg(long, requires = "coverage")]
    strict: bool,
}

/// What programs read.
#[derive(Serialize)]
struct Document<'a> {
    passed: bool,
    cases: &'a [CaseOutcome],
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<&'a Coverage>,
}

/// The exit code: 0 when every case holds.
pub(super) fn run(context: &Context, test: &Test) -> Result<u8> {
    let checked = Checked::of(test.folder.clone(), false)?;
    let Some(set) = &checked.report.set else {
        let first = checked.report.problems.first().map(ToString::to_string).unwrap_or_default();
        return Err(Failure::usage(format!("the set cannot be loaded; the first problem: {first}"))
            .fix("see them all with `daypass policy check`"));
    };
    let cases = &checked.report.cases;
    let covered = test.coverage.then(|| coverage(set, cases));
    let whole = covered.as_ref().is_none_or(|covered| covered.rows.iter().all(RowCoverage::is_whole));
    let passed = cases.iter().all(|case| case.passed) && (whole || !test.strict);
    if context.out.is_json() {
        context.out.json(&Document { passed, cases, coverage: covered.as_ref() })?;
        return Ok(u8::from(!passed));
    }
    let mut text = String::new();
    show::failed(&mut text, cases)?;
    let style = if cases.iter().all(|case| case.passed) { GOOD } else { BAD };
    context.out.text(&format!("{text}{style}{}{style:#}\n", show::cases(cases)))?;
    if let Some(covered) = covered {
        context.out.text("\n")?;
        table(context, &checked, &covered)?;
    }
    Ok(u8::from(!passed))
}

fn table(context: &Context, checked: &Checked, covered: &Coverage) -> Result<()> {
    let rows: Vec<[String; 5]> = covered
        .rows
        .iter()
        .map(|row| {
            let place = checked.folder.join(&row.place.file);
            [
                row.role.clone(),
                (row.row + 1).to_string(),
                if row.allowed_by == 0 { "no case".to_owned() } else { count(row.allowed_by, "case") },
                if row.unexercised.is_empty() { "–".to_owned() } else { row.unexercised.join(", ") },
                format!("{}:{}", place.display(), row.place.line),
            ]
        })
        .collect();
    context.out.table(["ROLE", "ROW", "LETS IN", "NOT EXERCISED", "WHERE"], &rows)?;
    let conditions: usize = covered.rows.iter().map(|row| row.conditions).sum();
    let open: usize = covered.rows.iter().map(|row| row.unexercised.len()).sum();
    let used = covered.rows.iter().filter(|row| row.allowed_by > 0).count();
    context.out.text(&format!(
        "\n{used} of {} let a case in; {} of {} keep a case out alone\n",
        count(covered.rows.len(), "row"),
        conditions - open,
        count(conditions, "condition"),
    ))
}

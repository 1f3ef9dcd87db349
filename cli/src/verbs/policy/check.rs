//! `daypass policy check`: everything that can be told about a set offline, in one of four forms.

use std::path::PathBuf;

use clap::Args;
use domain::policy::{CaseOutcome, Finding, Proof, Report, Severity, SourceFile, check};
use serde::Serialize;

use super::{annotations, sarif, show};
use crate::args::Format;
use crate::context::Context;
use crate::failure::Result;
use crate::policy::read_folder;

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Warnings stand against the set too
    #[arg(long)]
    strict: bool,
}

/// A report with what its readers need.
pub(super) struct Checked {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<SourceFile>,
    pub(super) report: Report,
    pub(super) findings: Vec<Finding>,
    pub(super) strict: bool,
}

impl Checked {
    pub(super) fn of(folder: PathBuf, strict: bool) -> Result<Self> {
        let files = read_folder(&folder)?;
        let report = check(files.clone());
        let findings = report.findings();
        Ok(Self { folder, files, report, findings, strict })
    }

    pub(super) fn is_sound(&self) -> bool {
        self.report.is_sound(self.strict)
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity && finding.accepted.is_none()).count()
    }

    pub(super) fn accepted(&self) -> usize {
        self.findings.iter().filter(|finding| finding.accepted.is_some()).count()
    }

    /// The hash of the set in hexadecimal digits.
    pub(super) fn hash(&self) -> Option<String> {
        self.report.set.as_ref().map(|set| domain::audit::hex(&set.hash()))
    }
}

/// The exit code: 0 when the set is sound.
pub(super) fn run(context: &Context, check: &Check) -> Result<u8> {
    let checked = Checked::of(check.folder.clone(), check.strict)?;
    match context.out.format {
        Format::Json => context.out.json(&document(&checked))?,
        Format::Sarif => context.out.json(&sarif::log(&checked))?,
        Format::Github => context.out.raw(annotations::all(&checked).as_bytes())?,
        Format::Text | Format::Markdown => show::report(context, &checked)?,
    }
    Ok(u8::from(!checked.is_sound()))
}

/// What programs read.
#[derive(Serialize)]
struct Document<'a> {
    sound: bool,
    strict: bool,
    /// The hash of the set, when it can be loaded.
    set: Option<String>,
    errors: usize,
    warnings: usize,
    notes: usize,
    accepted: usize,
    findings: &'a [Finding],
    cases: &'a [CaseOutcome],
    proofs: &'a [Proof],
}

fn document(checked: &Checked) -> Document<'_> {
    Document {
        sound: checked.is_sound(),
        strict: checked.strict,
        set: checked.hash(),
        errors: checked.count(Severity::Error),
        warnings: checked.count(Severity::Warning),
        notes: checked.count(Severity::Note),
        accepted: checked.accepted(),
        findings: &checked.findings,
        cases: &checked.report.cases,
        proofs: &checked.report.proofs,
    }
}

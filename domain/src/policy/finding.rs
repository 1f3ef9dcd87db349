//! What a check has to say about a set: refusals of the loader, failed cases, broken invariants and lints, all in one form.

use serde::Serialize;

use super::problem::{Place, Problem};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The set does not become active.
    Error,
    /// It lets in more than was probably meant; fails a strict check.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// The stable name of the rule or lint.
    pub rule: &'static str,
    #[serde(flatten)]
    pub place: Place,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The reason for which the set lets it stand.
    pub accepted: Option<String>,
}

impl Finding {
    /// Whether the set cannot become active because of it; warnings count when the check is strict.
    pub fn refuses(&self, strict: bool) -> bool {
        let most = if strict { Severity::Warning } else { Severity::Error };
        self.accepted.is_none() && self.severity <= most
    }

    /// The same wherever in its file it stands, so that services can follow it through edits.
    pub fn fingerprint(&self) -> String {
        let text = [self.rule, &self.place.file, &self.message].join("\n");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        crate::audit::hex(hash.as_ref().get(..16).unwrap_or_default())
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let Problem { file, line, column, end_line, end_column, message, help, rule } = problem;
        let place = Place { file, line, column, end_line, end_column };
        Self { severity: Severity::Error, rule, place, message, help, accepted: None }
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Self {
        Self { help: finding.help, ..Self::at(&finding.place, finding.rule, finding.message) }
    }
}

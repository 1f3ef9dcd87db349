//! An explanation as the domain writes it, made here or sent by a broker, for people to read.

use std::fmt::Write as _;
use std::time::Duration;

use domain::policy::duration;
use domain::wire::RecordedDecision;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::render::{BAD, FAINT, GOOD, STRONG, clean, moment};

/// `domain::policy::Explanation` from the reading side. What a newer broker adds is not shown, only passed on as JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Explanation {
    outcome: String,
    code: Option<String>,
    summary: String,
    hints: Vec<String>,
    roles: Vec<Role>,
    credentials: Vec<Credential>,
    near_misses: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
    /// What came of it, where a broker decided.
    recorded: Option<RecordedDecision>,
}

#[derive(Debug, Deserialize)]
struct Role {
    #[serde(rename = "role")]
    name: String,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "row")]
    at: usize,
    file: String,
    line: usize,
    issuer_matches: bool,
    matches: bool,
    conditions: Vec<Condition>,
    vetoes: Vec<Veto>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    claim: String,
    expected: String,
    actual: Option<String>,
    holds: bool,
}

#[derive(Debug, Deserialize)]
struct Veto {
    name: String,
    claim: String,
    actual: Option<String>,
    strikes: bool,
    waived: Option<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Credential {
    name: String,
    engine: String,
    limits: Vec<Limit>,
    limited_by: Option<String>,
    ttl_seconds: Option<u64>,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Limit {
    by: String,
    seconds: u64,
}

/// Shows an explanation that a broker sent.
pub(crate) fn show(context: &Context, explanation: &serde_json::Value) -> Result<()> {
    if context.out.is_json() {
        return context.out.json(explanation);
    }
    let mut text = String::new();
    Explanation::of(explanation)?.describe(&mut text);
    context.out.text(&text)
}

impl Explanation {
    pub(crate) fn of(written: &impl Serialize) -> Result<Self> {
        serde_json::to_value(written).and_then(serde_json::from_value).map_err(|error| {
            Failure::unreachable("the explanation cannot be read").because(&error).fix("see it whole with --format json")
        })
    }

    pub(crate) fn describe(&self, text: &mut String) {
        if let Some(RecordedDecision { kind, at, code }) = &self.recorded {
            let code_then = code.as_ref().map_or_else(String::new, |code| format!(" {}", clean(code)));
            let _ = writeln!(text, "{STRONG}recorded{STRONG:#} {}{code_then}, {}", clean(kind), moment(*at));
            if *code != self.code {
                let _ =
                    writeln!(text, "  {STRONG}note{STRONG:#}  the policy alone, on the claims that are left, says otherwise:");
            }
        }
        let style = if self.code.is_none() { GOOD } else { BAD };
        let code = self.code.as_ref().map_or_else(String::new, |code| format!(" {}", clean(code)));
        let _ = writeln!(text, "{style}{}{code}{style:#}: {}", clean(&self.outcome), clean(&self.summary));
        // What is nearly right says more than what is true of the token anyway.
        for miss in &self.near_misses {
            let _ = writeln!(text, "  {STRONG}near{STRONG:#}  {}", clean(miss));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  {STRONG}hint{STRONG:#}  {}", clean(hint));
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {STRONG}note{STRONG:#}  {}", clean(note));
        }
        for role in &self.roles {
            role.describe(text);
        }
        for credential in &self.credentials {
            credential.describe(text);
        }
    }
}

impl Role {
    fn describe(&self, text: &mut String) {
        let _ = writeln!(text, "{STRONG}role {}{STRONG:#}", clean(&self.name));
        for row in self.rows.iter().filter(|row| row.issuer_matches) {
            row.describe(text);
        }
        let others = self.rows.iter().filter(|row| !row.issuer_matches).count();
        if others > 0 {
            let _ = writeln!(text, "  {FAINT}rows about other issuers: {others}{FAINT:#}");
        }
    }
}

impl Row {
    fn describe(&self, text: &mut String) {
        let verdict = if self.matches { "matches" } else { "does not match" };
        let _ = writeln!(text, "  row {} ({}:{}) {verdict}", self.at + 1, clean(&self.file), self.line);
        let width = self.conditions.iter().map(|condition| condition.claim.chars().count()).max().unwrap_or(0);
        for condition in &self.conditions {
            let (style, sign) = if condition.holds { (GOOD, "ok") } else { (BAD, "no") };
            let expected = clean(&condition.expected);
            let _ = write!(text, "    {style}{sign}{style:#}  {:width$}  {expected}", clean(&condition.claim));
            if condition.actual.as_ref() != Some(&condition.expected) {
                let _ = write!(text, "  {FAINT}is{FAINT:#} {}", actual(condition.actual.as_deref()));
            }
            text.push('\n');
        }
        for veto in self.vetoes.iter().filter(|veto| veto.strikes) {
            let (style, verdict) = match &veto.waived {
                Some(reason) => (GOOD, format!("waived: {}", clean(reason))),
                None => (BAD, clean(&veto.reason)),
            };
            let (name, claim) = (clean(&veto.name), clean(&veto.claim));
            let _ = writeln!(text, "    {style}veto{style:#} {name}: {claim} is {}. {verdict}", actual(veto.actual.as_deref()));
        }
    }
}

impl Credential {
    fn describe(&self, text: &mut String) {
        let _ = write!(text, "{STRONG}credential {}{STRONG:#} ({})", clean(&self.name), clean(&self.engine));
        match (&self.problem, self.ttl_seconds, &self.limited_by) {
            (Some(problem), _, _) => {
                let _ = write!(text, ": {BAD}{}{BAD:#}", clean(problem));
            }
            (None, Some(seconds), Some(by)) => {
                let _ = write!(text, ": {}, limited by {}", lasting(seconds), clean(by));
                let others: Vec<String> = self
                    .limits
                    .iter()
                    .filter(|limit| limit.by != *by)
                    .map(|limit| format!("{} {}", clean(&limit.by), lasting(limit.seconds)))
                    .collect();
                if !others.is_empty() {
                    let _ = write!(text, " {FAINT}({}){FAINT:#}", others.join(", "));
                }
            }
            _ => {}
        }
        text.push('\n');
    }
}

fn lasting(seconds: u64) -> String {
    duration::print(Duration::from_secs(seconds))
}

fn actual(value: Option<&str>) -> String {
    value.map_or_else(|| "(missing)".to_owned(), clean)
}

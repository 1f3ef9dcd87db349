//! How answers and failures look. Whatever comes from elsewhere is stripped of control characters, which a terminal would obey.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use domain::wire::Problem;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::ambient::Glance;
use crate::args::{Color, Format};
use crate::failure::{Failure, Result};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const NOTE: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();

#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) format: Format,
}

#[expect(clippy::unused_self, reason = "whoever shows something has decided how; some ways look alike in every format")]
impl Out {
    pub(crate) fn new(format: Format, color: Color) -> Self {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// The answer as one JSON document.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::local("the answer cannot be written").because(&error))?;
        text.push('\n');
        self.raw(text.as_bytes())
    }

    /// Exactly these bytes, for values that a program reads.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Text with styles, which are left out where they would not be seen.
    pub(crate) fn text(self, text: &str) -> Result<()> {
        styled(text)
    }

    /// Columns under their heads, as wide as they must be.
    pub(crate) fn table<const N: usize>(self, heads: [&str; N], rows: &[[String; N]]) -> Result<()> {
        let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| clean(cell))).collect();
        let mut widths = heads.map(|head| head.chars().count());
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        line(&mut text, &heads.map(str::to_owned), &widths, STRONG);
        for row in &rows {
            line(&mut text, row, &widths, Style::new());
        }
        styled(&text)
    }

    /// Names and values, aligned.
    pub(crate) fn pairs(self, pairs: &[(&str, String)]) -> Result<()> {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in pairs {
            let _ = writeln!(text, "{STRONG}{name:width$}{STRONG:#}  {}", clean(value));
        }
        styled(&text)
    }

    /// A remark beside the answer, on standard error.
    pub(crate) fn note(self, text: &str) {
        if self.is_json() {
            to_stderr(&format!("{}\n", serde_json::json!({ "note": text })));
        } else {
            to_stderr(&format!("{FAINT}daypass:{FAINT:#} {}\n", clean(text)));
        }
    }

    /// How far something is, drawn over the last time on a terminal and nowhere else.
    pub(crate) fn progress(self, done: u64, all: u64, remark: &str) {
        const WIDTH: u64 = 24;
        if self.is_json() || !std::io::stderr().is_terminal() {
            return;
        }
        let full = done.min(all).saturating_mul(WIDTH).checked_div(all).unwrap_or(WIDTH);
        let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect();
        to_stderr(&format!("\r\x1b[2K{bar} {done}/{all} · {}", clean(remark)));
    }

    /// How much was read so far, of nobody knows how much.
    pub(crate) fn progress_of(self, done: u64, remark: &str) {
        if !self.is_json() && std::io::stderr().is_terminal() {
            to_stderr(&format!("\r\x1b[2K{done} {}", clean(remark)));
        }
    }

    /// The line is free again.
    pub(crate) fn progress_ends(self) {
        if !self.is_json() && std::io::stderr().is_terminal() {
            to_stderr("\r\x1b[2K");
        }
    }

    /// Something that went wrong beside the main thing.
    pub(crate) fn warning(self, text: &str, failure: &Failure) {
        if self.is_json() {
            to_stderr(&format!("{}\n", serde_json::json!({ "warning": text, "error": as_json(failure) })));
        } else {
            let cause = failure
                .problem
                .as_ref()
                .map_or_else(|| failure.title.clone(), |problem| format!("{}: {}", problem.code, problem.title));
            to_stderr(&format!("{WARNING}warning:{WARNING:#} {} ({})\n", clean(text), clean(&cause)));
        }
    }

    /// Everything that helps: what, why, what next, and what the operators need to find it.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.is_json() {
            to_stderr(&format!("{}\n", serde_json::json!({ "error": as_json(failure) })));
            return;
        }
        let mut text = String::new();
        if let Some(problem) = &failure.problem {
            describe_problem(&mut text, problem, failure.token.as_deref());
        } else {
            let _ = writeln!(text, "{BAD}error:{BAD:#} {}", clean(&failure.title));
            for cause in &failure.causes {
                let _ = writeln!(text, "  {STRONG}because{STRONG:#}   {}", clean(cause));
            }
        }
        if let Some(remedy) = &failure.remedy {
            let mut lines = remedy.lines();
            let _ = writeln!(text, "  {STRONG}fix{STRONG:#}       {}", clean(lines.next().unwrap_or_default()));
            for line in lines {
                let _ = writeln!(text, "            {}", clean(line));
            }
        }
        to_stderr(&text);
    }
}

fn describe_problem(text: &mut String, problem: &Problem, token: Option<&Glance>) {
    let _ = writeln!(text, "{BAD}error:{BAD:#} {STRONG}{}{STRONG:#}: {}", clean(&problem.code), clean(&problem.title));
    let _ = writeln!(text, "  {STRONG}fix{STRONG:#}       {}", clean(&problem.detail));
    for hint in &problem.hints {
        let _ = writeln!(text, "  {STRONG}hint{STRONG:#}      {}", clean(hint));
    }
    let _ = writeln!(text, "  {STRONG}decision{STRONG:#}  {}", clean(&problem.decision_id));
    let _ = writeln!(
        text,
        "  {STRONG}server{STRONG:#}    {}{}",
        moment(problem.server_time),
        token.map(|token| age(problem, token)).unwrap_or_default()
    );
    if let Some(token) = token {
        let _ = writeln!(text, "  {STRONG}token{STRONG:#}     {FAINT}from{FAINT:#} {}", clean(&token.place));
        for (name, value) in &token.claims {
            let _ = writeln!(text, "            {FAINT}{name}{FAINT:#} {}", clean(value));
        }
    }
}

/// How old the token was by the server's clock; a token from the future means that two clocks disagree.
fn age(problem: &Problem, token: &Glance) -> String {
    match token.issued_at.map(|issued| problem.server_time.unix_timestamp().saturating_sub(issued)) {
        Some(seconds @ 0..) => format!(" (the token was issued {seconds} s earlier)"),
        Some(seconds) => format!(" (the token says it was issued {} s later: the clocks disagree)", seconds.saturating_neg()),
        None => String::new(),
    }
}

fn as_json(failure: &Failure) -> serde_json::Value {
    serde_json::json!({
        "kind": failure.kind.as_str(),
        "exit_code": failure.exit_code(),
        "message": failure.problem.as_ref().map_or(failure.title.as_str(), |problem| problem.title.as_str()),
        "remedy": failure.remedy.as_deref().or(failure.problem.as_ref().map(|problem| problem.detail.as_str())),
        "causes": failure.causes,
        "problem": failure.problem,
        "token": failure.token.as_ref().map(|token| token.claims.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()),
    })
}

fn line<const N: usize>(text: &mut String, cells: &[String; N], widths: &[usize; N], style: Style) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(line, "{cell:width$}  ");
    }
    let _ = writeln!(text, "{style}{}{style:#}", line.trim_end());
}

fn to_stderr(text: &str) {
    // There is nowhere left to complain about a closed standard error.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

fn styled(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// A reader that has seen enough (`| head`) is no failure.
fn written(outcome: std::io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::local("standard output cannot be written").because(&error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn moment(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_else(|_| at.unix_timestamp().to_string())
}

/// Enough to find it by in a list: month, day and time, in UTC.
pub(crate) fn short_moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{:02}-{:02} {:02}:{:02}:{:02}", u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second())
}

/// How many there are of something, in words: "1 problem", "2 problems".
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_people_do() {
        assert_eq!([0, 1, 2].map(|n| count(n, "problem")), ["0 problems", "1 problem", "2 problems"]);
    }

    #[test]
    fn a_short_moment_is_in_utc() {
        let at = OffsetDateTime::UNIX_EPOCH.to_offset(time::UtcOffset::from_hms(2, 0, 0).expect("an offset"));
        assert_eq!(short_moment(at), "01-01 00:00:00");
    }
}

//! The answer: one row for each goal, with what it is measured against in the same run, and what that says.

use std::fmt::Write as _;

use serde::Serialize;

/// What is counted. The word stands behind the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// So many times the reference.
    #[serde(rename = "x")]
    Times,
    #[serde(rename = "MB")]
    Megabytes,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "%")]
    Percent,
}

/// What a figure has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    BelowGoal,
    BelowFloor,
}

/// One goal.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// As in the table of goals; a letter tells the parts of one goal apart.
    pub number: &'static str,
    pub what: &'static str,
    /// What was measured of Daypass.
    pub figure: String,
    /// What it is held against.
    pub reference: String,
    /// What is judged: the median over the repeats, or what they have made together.
    pub measured: f64,
    pub least: f64,
    pub most: f64,
    pub unit: Unit,
    pub floor: Bound,
    pub goal: Bound,
    pub verdict: Verdict,
}

impl Row {
    /// A row judged by the median of `measured`, one value for each repeat.
    pub fn new(number: &'static str, what: &'static str, measured: &[f64], unit: Unit, floor: Bound, goal: Bound) -> Self {
        Self::judged(number, what, median(measured), measured, unit, floor, goal)
    }

    /// A row judged by `value`, which all repeats have made together; `measured` are theirs, each for itself.
    pub fn judged(
        number: &'static str,
        what: &'static str,
        value: f64,
        measured: &[f64],
        unit: Unit,
        floor: Bound,
        goal: Bound,
    ) -> Self {
        let verdict = match (floor.keeps(value), goal.keeps(value)) {
            (false, _) => Verdict::BelowFloor,
            (true, false) => Verdict::BelowGoal,
            (true, true) => Verdict::Ok,
        };
        let least = measured.iter().copied().fold(f64::INFINITY, f64::min);
        let most = measured.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (figure, reference) = (String::new(), String::new());
        Self { number, what, figure, reference, measured: value, least, most, unit, floor, goal, verdict }
    }

    #[must_use]
    pub fn told(mut self, figure: impl Into<String>, reference: impl Into<String>) -> Self {
        (self.figure, self.reference) = (figure.into(), reference.into());
        self
    }
}

impl Bound {
    fn keeps(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self, unit: Unit) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", unit.text(bound)),
            Self::AtLeast(bound) => format!("≥ {}", unit.text(bound)),
        }
    }
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Times => format!("{value:.2}x"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::Percent => format!("{value:+.0} %"),
        }
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BelowGoal => "below goal",
            Self::BelowFloor => "BELOW FLOOR",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::BelowGoal => "\x1b[33m",
            Self::BelowFloor => "\x1b[1;31m",
        }
    }
}

/// The middle of the values; the mean of the two in the middle where their number is even.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let at = |at: usize| sorted.get(at).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.wrapping_sub(1)), at(half)) }
}

/// The rows in aligned columns, with colours if wanted.
pub fn render(rows: &[Row], colour: bool) -> String {
    let header = ["#", "what", "Daypass", "reference in the same run", "measured", "floor", "goal", ""].map(str::to_owned);
    let mut lines = vec![header];
    for row in rows {
        let span = if row.most > row.least {
            format!("{} ({}–{})", row.unit.text(row.measured), bare(row.unit, row.least), bare(row.unit, row.most))
        } else {
            row.unit.text(row.measured)
        };
        lines.push([
            row.number.to_owned(),
            row.what.to_owned(),
            row.figure.clone(),
            row.reference.clone(),
            span,
            row.floor.text(row.unit),
            row.goal.text(row.unit),
            row.verdict.word().to_owned(),
        ]);
    }
    let mut widths = [0; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let paint = number.checked_sub(1).and_then(|at| rows.get(at)).map_or("\x1b[1m", |row| row.verdict.colour());
        for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
            // The header, and the verdict at the end of each line.
            let painted = colour && (number == 0 || at == 7);
            let _ = if painted { write!(text, "{paint}{cell}\x1b[0m") } else { write!(text, "{cell}") };
            if at < 7 {
                let _ = write!(text, "{:1$}  ", "", width - cell.chars().count());
            }
        }
        text.push('\n');
    }
    text
}

fn bare(unit: Unit, value: f64) -> String {
    unit.text(value).trim_end_matches([' ', 'M', 'B', 'm', 's', 'x', '%']).to_owned()
}

/// A rate for people: `5,860/s`.
pub fn per_second(rate: f64) -> String {
    let whole = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + "/s"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measured: &[f64]) -> Row {
        Row::new("3", "exchange", measured, Unit::Times, Bound::AtLeast(0.6), Bound::AtLeast(1.0))
    }

    #[test]
    fn judges_the_median_by_floor_and_goal() {
        assert_eq!(row(&[0.5, 1.2, 1.1]).verdict, Verdict::Ok, "one bad repeat decides nothing");
        assert_eq!(row(&[0.7, 0.8]).verdict, Verdict::BelowGoal);
        assert_eq!(row(&[0.5]).verdict, Verdict::BelowFloor);
        let most = Row::new("1", "verify", &[1.9], Unit::Times, Bound::AtMost(1.8), Bound::AtMost(1.3));
        assert_eq!(most.verdict, Verdict::BelowFloor);
        let nothing = Row::new("1", "verify", &[f64::NAN], Unit::Times, Bound::AtMost(1.8), Bound::AtMost(1.3));
        assert_eq!(nothing.verdict, Verdict::BelowFloor, "what could not be measured keeps nothing");
    }

    #[test]
    fn aligns_its_columns() {
        let text = render(&[row(&[1.0]).told("5/s", "é"), row(&[0.1, 0.2])], false);
        let ends: Vec<usize> = text.lines().skip(1).map(|line| line.find('≥').unwrap_or(0)).collect();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("0.15x (0.10–0.20)") && text.contains("BELOW FLOOR"));
        let columns = |line: &str| line.chars().position(|c| c == '≥');
        assert_eq!(text.lines().nth(1).and_then(columns), text.lines().nth(2).and_then(columns), "{ends:?}");
        assert!(!text.contains('\x1b') && render(&[row(&[1.0])], true).contains("\x1b[32m"));
    }

    #[test]
    fn writes_rates_with_thousands() {
        assert_eq!([per_second(7.4), per_second(1234.0), per_second(1_234_567.0)], ["7/s", "1,234/s", "1,234,567/s"]);
    }
}

//! A line of a file with what is meant underlined, as a terminal shows it: tabs as spaces, wide characters two cells wide, and of
//! a long line the stretch that matters.

use domain::policy::{Place, SourceFile};
use unicode_width::UnicodeWidthChar as _;

/// How many cells of a line are shown.
const WIDEST: usize = 100;
/// How many of them stand before what is meant, where a line is cut.
const BEFORE: usize = 24;
const TAB: usize = 4;

/// A line and where to underline it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) line: String,
    /// Cells before the underlined stretch.
    pub(super) indent: usize,
    /// Cells of the stretch.
    pub(super) length: usize,
}

/// The line at which the place begins; none when the file has no such line.
pub(super) fn of(files: &[SourceFile], place: &Place) -> Option<Snippet> {
    let file = files.iter().find(|file| file.path == place.file)?;
    let line = file.text.lines().nth(place.line.checked_sub(1)?)?;
    let end = if place.end_line == place.line { place.end_column } else { usize::MAX };
    Some(underlined(line, place.column, end))
}

/// Columns count characters from one; `end` is the first one behind the stretch.
fn underlined(line: &str, start: usize, end: usize) -> Snippet {
    let mut cells: Vec<(String, usize)> = Vec::new();
    let (mut indent, mut length, mut at) = (0, 0, 0);
    for (column, sign) in (1..).zip(line.trim_end().chars()) {
        let (shown, width) = match sign {
            '\t' => (" ".repeat(TAB - at % TAB), TAB - at % TAB),
            sign if sign.is_control() => ("\u{fffd}".to_owned(), 1),
            sign => (sign.to_string(), sign.width().unwrap_or(0)),
        };
        if column < start {
            indent += width;
        } else if column < end {
            length += width;
        }
        at += width;
        cells.push((shown, width));
    }
    let length = length.max(1);
    if at <= WIDEST {
        return Snippet { line: cells.into_iter().map(|(shown, _)| shown).collect(), indent, length };
    }
    cut(&cells, at, indent, length)
}

fn cut(cells: &[(String, usize)], all: usize, indent: usize, length: usize) -> Snippet {
    let from = if indent + length <= WIDEST { 0 } else { indent.saturating_sub(BEFORE).min(all - WIDEST) };
    let to = from + WIDEST;
    let (mut line, mut at, mut begun) = (String::new(), 0, None);
    for (shown, width) in cells {
        if at >= from && at + width <= to {
            begun.get_or_insert(at);
            line.push_str(shown);
        }
        at += width;
    }
    // A wide character that did not fit moves the rest by one.
    let begun = begun.unwrap_or(from);
    let mut indent = indent.saturating_sub(begun);
    let length = length.min(WIDEST.saturating_sub(indent)).max(1);
    if from > 0 {
        line.insert(0, '…');
        indent += 1;
    }
    if to < all {
        line.push('…');
    }
    Snippet { line, indent, length }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with its underlining below it.
    fn drawn(line: &str, start: usize, end: usize) -> String {
        let Snippet { line, indent, length } = underlined(line, start, end);
        format!("{line}\n{}{}", " ".repeat(indent), "^".repeat(length))
    }

    #[test]
    fn underlines_what_is_meant() {
        assert_eq!(drawn("ref = \"main\"", 7, 13), "ref = \"main\"\n      ^^^^^^");
        assert_eq!(drawn("", 1, 1), "\n^");
        assert_eq!(drawn("[role.x]", 1, usize::MAX), "[role.x]\n^^^^^^^^");
    }

    #[test]
    fn tabs_wide_and_invisible_characters_keep_the_place() {
        assert_eq!(drawn("\tx = 1", 2, 3), "    x = 1\n    ^");
        assert_eq!(drawn("a\tx = 1", 3, 4), "a   x = 1\n    ^");
        assert_eq!(drawn("n = \"東京\" # x", 5, 9), "n = \"東京\" # x\n    ^^^^^^");
        assert_eq!(drawn("e\u{301} = 1", 6, 7), "e\u{301} = 1\n    ^");
        assert_eq!(drawn("x = \"\u{1b}[31m\"", 1, 2), "x = \"\u{fffd}[31m\"\n^");
    }

    #[test]
    fn of_a_long_line_the_stretch_that_matters_is_shown() {
        let line = format!("{}ref = \"x\"{}", "a".repeat(300), "b".repeat(300));
        let drawn = drawn(&line, 301, 310);
        let (shown, marks) = drawn.split_once('\n').expect("two lines");
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.chars().count() == WIDEST + 2, "{drawn}");
        let at = marks.find('^').expect("marks");
        let meant: String = shown.chars().skip(at).take(marks.len() - at).collect();
        assert_eq!(meant, "ref = \"x\"");
        let begin = underlined(&line, 1, 5);
        assert!(begin.line.starts_with("aaaa") && begin.indent == 0 && begin.length == 4);
    }
}

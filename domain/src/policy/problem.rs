//! What is wrong with a policy set, and where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One file of a policy set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the folder of the set, with `/` between segments.
    pub path: String,
    pub text: String,
}

/// A stretch of a source file. Lines and columns count from one; columns count characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// Where the keys of a table stand, each with its value; a key of an inner `waive` table as `waive.NAME`.
pub type Places = BTreeMap<String, Place>;

/// One reason why a set is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    /// What is wrong, with what was expected.
    pub message: String,
    /// What to write instead, where that can be told.
    pub help: Option<String>,
    /// The stable name of the rule.
    pub rule: &'static str,
}

impl Problem {
    pub fn at(place: &Place, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            file: place.file.clone(),
            line: place.line,
            column: place.column,
            end_line: place.end_line,
            end_column: place.end_column,
            message: message.into(),
            help: None,
            rule,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean …?` when a known name is near to the one that was written.
    #[must_use]
    pub fn nearest<'a>(self, written: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The known name nearest to `written`, when it is near enough to be a slip.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: String = written.chars().take(64).collect::<String>().to_ascii_lowercase();
    let slips = (written.chars().count() / 3).clamp(1, 3);
    let (mut near, mut begun) = (None, None);
    for name in known {
        let known = name.to_ascii_lowercase();
        if let Some(slips) = distance(&written, &known, slips)
            && near.is_none_or(|nearest| (slips, name) < nearest)
        {
            near = Some((slips, name));
        }
        // `event` for `event_name`, `repo` for `repository`.
        let begins = written.len() >= 3 && (known.starts_with(&written) || written.starts_with(&known));
        if begins && begun.is_none_or(|shortest: &str| (name.len(), name) < (shortest.len(), shortest)) {
            begun = Some(name);
        }
    }
    near.map(|(_, name)| name).or(begun)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour, when they are `most` or fewer. What lies
/// further apart is not counted out: sets may hold thousands of names that are not there.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let b: Vec<char> = b.chars().collect();
    if a.chars().count().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            if i.abs_diff(j) > most {
                next.push(usize::MAX / 2);
                continue;
            }
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = (cell(&row, j) + usize::from(x != *y)).min(cell(&row, j + 1) + 1).min(cell(&next, j) + 1);
            if j > 0 && last == Some(*y) && b.get(j - 1) == Some(&x) {
                least = least.min(cell(&before, j - 1) + 1);
            }
            next.push(least);
        }
        if next.iter().min().is_none_or(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut row, next);
        last = Some(x);
    }
    row.last().copied().filter(|slips| *slips <= most)
}

//! Reading TOML with places, and telling everything that is wrong at once.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Places, Problem, SourceFile};

/// A value with the stretch of text it was read from.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// One file being read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) file: &'a SourceFile,
    starts: Vec<usize>,
    problems: &'a RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a SourceFile, problems: &'a RefCell<Vec<Problem>>) -> Self {
        let starts = std::iter::once(0).chain(file.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, starts, problems }
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let (line, column) = self.position(span.start);
        let (end_line, end_column) = self.position(span.end.max(span.start));
        Place { file: self.file.path.clone(), line, column, end_line, end_column }
    }

    /// Where the keys of `table` and of its `waive` table stand.
    pub(super) fn places(&self, table: &DeTable<'_>) -> Places {
        let mut places = Places::new();
        for (key, node) in table {
            let name = key.get_ref();
            places.insert(name.to_string(), self.place(&(key.span().start..node.span().end)));
            if let (true, Some(inner)) = (*name == "waive", node.get_ref().as_table()) {
                let of = |key: &Spanned<_>, node: &Node<'_>| self.place(&(key.span().start..node.span().end));
                places.extend(inner.iter().map(|(key, node)| (format!("waive.{}", key.get_ref()), of(key, node))));
            }
        }
        places
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.file.text.get(start..offset).map_or(0, |text| text.chars().count());
        (line, column + 1)
    }

    pub(super) fn problem(&self, span: &Range<usize>, rule: &'static str, message: impl Into<String>) -> Problem {
        Problem::at(&self.place(span), rule, message)
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong_type(&self, node: &Node<'_>, key: &str, expected: &str) {
        let found = article(node.get_ref().type_str());
        self.report(self.problem(&node.span(), "wrong-type", format!("`{key}` is {found}; expected {expected}")));
    }

    /// Reports every key that is not among `known`.
    pub(super) fn only(&self, table: &DeTable<'_>, of: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let name = key.get_ref().escape_debug().to_string();
            let problem = self.problem(&key.span(), "unknown-key", format!("unknown key `{name}` in {of}"));
            self.report(match super::problem::nearest(&name, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("known keys: {}", known.join(", "))),
            });
        }
    }

    pub(super) fn missing(&self, span: &Range<usize>, of: &str, key: &str, expected: &str) {
        self.report(self.problem(span, "missing-key", format!("{of} lacks `{key}`; expected {expected}")));
    }

    pub(super) fn table<'t>(&self, node: &'t Node<'t>, key: &str) -> Option<&'t DeTable<'t>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(node, key, "a table");
        }
        table
    }

    /// The tables of an array of tables.
    pub(super) fn tables<'t>(&self, node: &'t Node<'t>, key: &str) -> Vec<(Range<usize>, &'t DeTable<'t>)> {
        let Some(items) = node.get_ref().as_array() else {
            self.wrong_type(node, key, &format!("an array of tables, written [[{key}]]"));
            return Vec::new();
        };
        items.iter().filter_map(|item| Some((item.span(), self.table(item, key)?))).collect()
    }

    pub(super) fn text(&self, table: &DeTable<'_>, key: &str) -> Option<Spanned<String>> {
        let node = table.get(key)?;
        self.string(node, key, "a string")
    }

    fn string(&self, node: &Node<'_>, key: &str, expected: &str) -> Option<Spanned<String>> {
        let text = node.get_ref().as_str().map(|text| Spanned::new(node.span(), text.to_owned()));
        if text.is_none() {
            self.wrong_type(node, key, expected);
        }
        text
    }

    pub(super) fn flag(&self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let node = table.get(key)?;
        let value = node.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type(node, key, "true or false");
        }
        value
    }

    /// A whole number within `range`.
    pub(super) fn number(&self, table: &DeTable<'_>, key: &str, range: Range<i64>) -> Option<i64> {
        let node = table.get(key)?;
        let number = integer(node.get_ref()).filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong_type(node, key, &format!("a whole number from {} to {}", range.start, range.end - 1));
        }
        number
    }

    pub(super) fn duration(&self, table: &DeTable<'_>, key: &str) -> Option<Spanned<Duration>> {
        let text = self.text(table, key)?;
        match super::duration::parse(text.get_ref()) {
            Ok(duration) => Some(Spanned::new(text.span(), duration)),
            Err(reason) => {
                self.report(self.problem(&text.span(), "duration", format!("`{key}`: {reason}")));
                None
            }
        }
    }

    /// A list of strings; one string stands for a list of one.
    pub(super) fn texts(&self, table: &DeTable<'_>, key: &str) -> Vec<Spanned<String>> {
        let Some(node) = table.get(key) else { return Vec::new() };
        let one = |node: &Node<'_>| self.string(node, key, "strings");
        match node.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(one).collect(),
            DeValue::String(_) => one(node).into_iter().collect(),
            _ => {
                self.wrong_type(node, key, "a list of strings");
                Vec::new()
            }
        }
    }
}

/// The number, when it fits 64 bits.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn article(word: &str) -> String {
    let an = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if an { "an" } else { "a" })
}

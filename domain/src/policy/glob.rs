//! Globs that respect segments.
//!
//! A segment ends at `/` or `:`. A `*` stands for any characters of one segment, and alone in a segment for at least one.
//! `**` stands only at the end, as a whole trailing path: `refs/heads/**` takes in everything below `refs/heads/`, and
//! `other:**` everything behind that `:`, never another `:`. Nothing else has a meaning. Matching takes time bounded by the product of the two lengths of one segment.

use std::fmt;

/// The longest pattern.
const LONGEST: usize = 1024;

/// A pattern that was found good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

impl Glob {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("a glob must not be empty".to_owned());
        }
        if pattern.len() > LONGEST {
            return Err(format!("a glob has at most {LONGEST} bytes"));
        }
        if let Some(sign) = pattern.chars().find(|c| matches!(c, '?' | '[' | ']' | '{' | '}' | '\\') || c.is_control()) {
            return Err(format!("{sign:?} has no meaning in a glob; only `*` and a trailing `**` do"));
        }
        let body = match pattern.strip_suffix("**") {
            Some(before) if before.is_empty() || before.ends_with(['/', ':']) => before,
            _ => pattern,
        };
        if body.contains("**") {
            return Err("`**` stands only as a whole trailing path, as in `refs/heads/**`".to_owned());
        }
        Ok(Self(pattern.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits, upper and lower ASCII letters being the same when `fold`.
    pub fn matches(&self, text: &str, fold: bool) -> bool {
        let (mut pattern, mut text) = (self.0.as_bytes(), text.as_bytes());
        loop {
            if pattern == b"**" {
                return !text.is_empty() && !text.contains(&b':');
            }
            let (piece, pattern_end, pattern_rest) = segment(pattern);
            let (part, text_end, text_rest) = segment(text);
            if pattern_end != text_end || !within(piece, part, fold) {
                return false;
            }
            if pattern_end.is_none() {
                return true;
            }
            (pattern, text) = (pattern_rest, text_rest);
        }
    }

    /// Whether everything that `other` can match is matched by this glob. Errs on the side of no.
    pub fn covers(&self, other: &Self) -> bool {
        let (mut outer, mut inner) = (self.0.as_bytes(), other.0.as_bytes());
        loop {
            if outer == b"**" {
                return !inner.is_empty() && !inner.contains(&b':');
            }
            let (piece, outer_end, outer_rest) = segment(outer);
            let (part, inner_end, inner_rest) = segment(inner);
            // A star of the inner pattern is an ordinary sign here, so that only a star of the outer takes it in.
            if outer_end != inner_end || part == b"**" || !within(piece, part, false) {
                return false;
            }
            if outer_end.is_none() {
                return true;
            }
            (outer, inner) = (outer_rest, inner_rest);
        }
    }

    /// What a text must hold for sure: the pattern without its stars.
    pub fn literal(&self) -> String {
        self.0.replace('*', "")
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first segment, the sign that ends it, and the rest.
fn segment(text: &[u8]) -> (&[u8], Option<u8>, &[u8]) {
    match text.iter().position(|byte| matches!(byte, b'/' | b':')) {
        Some(at) => match (text.split_at(at), text.get(at)) {
            ((head, tail), Some(sign)) => (head, Some(*sign), tail.get(1..).unwrap_or_default()),
            ((head, _), None) => (head, None, &[]),
        },
        None => (text, None, &[]),
    }
}

/// Whether one segment fits. Going back to the last star alone suffices, as every star can stand for anything here.
fn within(piece: &[u8], part: &[u8], fold: bool) -> bool {
    if piece == b"*" {
        return !part.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = part.get(t) {
        match piece.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if wanted == byte || (fold && wanted.eq_ignore_ascii_case(byte)) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    piece.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

//! Hides secrets in a stream, also where a read splits them, and in the encodings in which they usually leak.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use domain::secret::Secret;
use zeroize::{Zeroize, Zeroizing};

/// Below this a value would be found by chance everywhere, and hiding it would only garble the log.
const SHORTEST: usize = 4;
/// Pieces of base64 have lost characters at both ends; short ones would match by chance.
const SHORTEST_PIECE: usize = 8;
const HIDDEN: &[u8] = b"***";
/// Words that stand in secrets as settings do, and in every log.
const COMMON: [&str; 6] = ["true", "false", "null", "none", "http", "https"];

/// What to hide; shared by the streams of one child.
pub(crate) struct Patterns {
    /// By first byte.
    by_first: Vec<Vec<Zeroizing<String>>>,
}

impl Patterns {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a Secret<String>>) -> Arc<Self> {
        let mut by_first: Vec<Vec<Zeroizing<String>>> = (0..256).map(|_| Vec::new()).collect();
        for form in secrets.flat_map(|secret| stream_forms(secret.expose())) {
            if let Some(place) = form.as_bytes().first().and_then(|first| by_first.get_mut(usize::from(*first))) {
                place.push(form);
            }
        }
        Arc::new(Self { by_first })
    }

    /// What stands at the beginning of `rest`.
    fn at(&self, rest: &[u8]) -> At {
        let candidates = rest.first().and_then(|first| self.by_first.get(usize::from(*first)));
        let mut found = At { whole: 0, may_go_on: false };
        for pattern in candidates.into_iter().flatten() {
            let pattern = pattern.as_bytes();
            if rest.starts_with(pattern) {
                found.whole = found.whole.max(pattern.len());
            } else if pattern.starts_with(rest) {
                found.may_go_on = true;
            }
        }
        found
    }
}

struct At {
    /// Length of the longest pattern that stands there, 0 for none.
    whole: usize,
    /// The bytes so far are the beginning of a longer pattern.
    may_go_on: bool,
}

/// One stream. Bytes leave as soon as they cannot be part of a secret any more; so whole lines leave at once.
pub(crate) struct Masker {
    patterns: Arc<Patterns>,
    pending: Vec<u8>,
    /// How many of the pending bytes belong to secrets already found.
    covered: usize,
}

impl Masker {
    pub(crate) const fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, pending: Vec::new(), covered: 0 }
    }

    /// Takes what was read and adds what may be shown to `out`.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        self.run(false, out);
    }

    /// The stream has ended: what could have become a secret did not.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(true, out);
    }

    fn run(&mut self, ended: bool, out: &mut Vec<u8>) {
        let mut position = 0;
        while let Some((first, _)) = self.pending.get(position..).and_then(<[u8]>::split_first) {
            let at = self.patterns.at(self.pending.get(position..).unwrap_or_default());
            if at.may_go_on && !ended {
                break;
            }
            if at.whole > 0 {
                if self.covered == 0 {
                    out.extend_from_slice(HIDDEN);
                }
                self.covered = self.covered.max(at.whole);
            }
            if self.covered > 0 {
                self.covered -= 1;
            } else {
                out.push(*first);
            }
            position += 1;
        }
        self.pending.drain(..position);
    }
}

impl Drop for Masker {
    fn drop(&mut self) {
        self.pending.zeroize();
    }
}

/// The forms that a log system is told of: the value, its lines, base64 and URL-encoded.
pub(crate) fn log_forms(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = Vec::new();
    for text in std::iter::once(value).chain(value.lines().map(str::trim)) {
        if !COMMON.contains(&text) {
            add(&mut forms, text.to_owned());
        }
    }
    if !forms.is_empty() {
        add(&mut forms, STANDARD.encode(value));
        add(&mut forms, percent(value, false));
    }
    forms
}

/// Those, and what else the value looks like inside of other text: a part of a base64 string at any alignment (as in a basic
/// authorisation header), inside JSON, and in the spellings of URL encoding.
fn stream_forms(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = log_forms(value);
    if forms.is_empty() {
        return forms;
    }
    add(&mut forms, percent(value, true));
    add(&mut forms, url::form_urlencoded::byte_serialize(value.as_bytes()).collect());
    if let Ok(json) = serde_json::to_string(value) {
        // Only the outer quotes: the value may end in one of its own.
        add(&mut forms, json.get(1..json.len() - 1).unwrap_or_default().to_owned());
    }
    for before in 0..3 {
        for engine in [STANDARD, URL_SAFE] {
            let piece = base64_piece(&engine, value.as_bytes(), before);
            if piece.len() >= SHORTEST_PIECE {
                add(&mut forms, piece);
            }
        }
    }
    forms
}

fn add(forms: &mut Vec<Zeroizing<String>>, text: String) {
    let text = Zeroizing::new(text);
    if text.len() >= SHORTEST && !forms.contains(&text) {
        forms.push(text);
    }
}

/// The characters that depend on `value` alone when it stands in encoded text after `before` other bytes (modulo 3).
fn base64_piece(engine: &impl base64::Engine, value: &[u8], before: usize) -> String {
    let mut padded = Zeroizing::new(vec![0; before]);
    padded.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(padded.as_slice()));
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_owned()
}

fn percent(value: &str, lower: bool) -> String {
    let digits: &[u8; 16] = if lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
    let digit = |nibble: u8| digits.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    let mut text = String::with_capacity(value.len() * 3);
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    text
}

#[cfg(test)]
#[path = "mask/tests.rs"]
mod tests;

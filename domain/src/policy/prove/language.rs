//! Sets of texts as automata: whether some text lies in all of these sets and in none of those, and the shortest that does.
//!
//! Each set becomes a deterministic automaton of `regex-automata`; several of them are walked side by side, so that no
//! product is ever built. A text of a token is UTF-8 without control characters, and so is every text that is found here.

use std::collections::HashSet;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

use super::budget::Budget;
use crate::policy::glob::Glob;

/// More states than that, and the question counts as too large to be answered.
const MOST_STATES: usize = 1 << 17;

/// A question that would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too large to be decided: fewer or simpler globs are needed")]
pub(super) struct TooLarge;

/// A set of texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Texts {
    /// One of these; with `fold`, upper and lower ASCII letters are the same.
    Words {
        words: Vec<String>,
        fold: bool,
    },
    Glob {
        glob: Glob,
        fold: bool,
    },
    /// Begins with `head`; with `more`, at least one character follows.
    Begins {
        head: String,
        more: bool,
    },
    /// One to twenty decimal digits.
    Digits,
    /// Not empty.
    Full,
    /// Every text.
    Any,
}

impl Texts {
    /// Whether a text lies in the set, told without an automaton.
    pub(super) fn has(&self, text: &str) -> bool {
        match self {
            Self::Words { words, fold: false } => words.iter().any(|word| word == text),
            Self::Words { words, fold: true } => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
            Self::Glob { glob, fold } => glob.matches(text, *fold),
            Self::Begins { head, more } => text.starts_with(head.as_str()) && text.len() >= head.len() + usize::from(*more),
            Self::Digits => (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Full => !text.is_empty(),
            Self::Any => true,
        }
    }

    /// About what it costs to ask [`Texts::has`].
    pub(super) fn effort(&self) -> usize {
        match self {
            Self::Words { words, .. } => words.len().saturating_mul(2),
            Self::Glob { glob, .. } => glob.as_str().len().saturating_mul(4),
            Self::Begins { .. } | Self::Digits | Self::Full | Self::Any => 4,
        }
    }

    /// All of its texts, where they can be told one by one.
    pub(super) fn words(&self) -> Option<&[String]> {
        match self {
            Self::Words { words, fold: false } => Some(words),
            _ => None,
        }
    }

    /// Whether a text lies in the set just when it does with its ASCII letters in another case.
    pub(super) const fn is_blind_to_case(&self) -> bool {
        match self {
            Self::Words { fold, .. } | Self::Glob { fold, .. } => *fold,
            Self::Digits | Self::Full | Self::Any => true,
            Self::Begins { .. } => false,
        }
    }

    pub(super) const fn is_words(&self) -> bool {
        matches!(self, Self::Words { .. })
    }

    /// Texts that a person would write who wants one of the set.
    pub(super) fn likely(&self) -> Vec<String> {
        match self {
            Self::Words { words, .. } => words.clone(),
            Self::Glob { glob, .. } => vec![glob.as_str().replace("**", "x").replace('*', "x")],
            Self::Begins { head, .. } => vec![format!("{head}x")],
            Self::Digits => vec!["1".to_owned()],
            Self::Full | Self::Any => vec!["x".to_owned()],
        }
    }

    /// The same set as a regular expression over whole texts.
    fn expression(&self) -> String {
        match self {
            // A class without members matches nothing.
            Self::Words { words, .. } if words.is_empty() => "[a&&b]".to_owned(),
            Self::Words { words, fold } => {
                format!("(?:{})", words.iter().map(|word| literal(word, *fold)).collect::<Vec<_>>().join("|"))
            }
            Self::Glob { glob, fold } => of_glob(glob.as_str(), *fold),
            Self::Begins { head, more } => format!("{}(?s:.){}", literal(head, false), if *more { '+' } else { '*' }),
            Self::Digits => "[0-9]{1,20}".to_owned(),
            Self::Full => "(?s:.)+".to_owned(),
            Self::Any => "(?s:.)*".to_owned(),
        }
    }
}

fn literal(text: &str, fold: bool) -> String {
    let sign = |c: char| match c {
        c if fold && c.is_ascii_alphabetic() => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("\\x{{{:x}}}", u32::from(c)),
    };
    text.chars().map(sign).collect()
}

/// `*` is anything within a segment, and at least one character where it is the whole segment; `**` is a trailing path.
fn of_glob(pattern: &str, fold: bool) -> String {
    let (body, path) = match pattern.strip_suffix("**") {
        Some(body) => (body, "[^:]+"),
        None => (pattern, ""),
    };
    let mut expression = String::new();
    for segment in body.split_inclusive(['/', ':']) {
        let (inner, end) = match segment.strip_suffix(['/', ':']) {
            Some(inner) => (inner, segment.get(inner.len()..).unwrap_or_default()),
            None => (segment, ""),
        };
        if inner == "*" {
            expression.push_str("[^/:]+");
        } else {
            let pieces: Vec<String> = inner.split('*').map(|piece| literal(piece, fold)).collect();
            expression.push_str(&pieces.join("[^/:]*"));
        }
        expression.push_str(&literal(end, false));
    }
    expression + path
}

/// A set, compiled.
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Automaton {
    /// A larger one is not compiled.
    pub(super) const MOST_BYTES: usize = 16 << 20;

    pub(super) fn bytes(&self) -> usize {
        self.dfa.memory_usage()
    }

    pub(super) fn of(texts: &Texts) -> Result<Self, TooLarge> {
        Self::compile(&texts.expression())
    }

    /// Every text that a token can hold: no control characters.
    pub(super) fn plain() -> Result<Self, TooLarge> {
        Self::compile("[^\\x00-\\x1f\\x7f-\\x{9f}]*")
    }

    fn compile(expression: &str) -> Result<Self, TooLarge> {
        let config = dense::Config::new()
            .match_kind(regex_automata::MatchKind::All)
            .start_kind(StartKind::Anchored)
            .accelerate(false)
            .dfa_size_limit(Some(Self::MOST_BYTES))
            .determinize_size_limit(Some(Self::MOST_BYTES));
        let dfa = dense::Builder::new().configure(config).build(expression).map_err(|_| TooLarge)?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).map_err(|_| TooLarge)?;
        Ok(Self { dfa, start })
    }

    fn accepts_at(&self, state: StateID) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }
}

/// Bytes in the order in which a reader would like to see them.
fn readable() -> impl Iterator<Item = u8> {
    let first = b"x".iter().copied().chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_./:@").chain(b'A'..=b'Z');
    first.chain(0x21..0x7f).chain(std::iter::once(b' ')).chain(0..=255)
}

/// The shortest text that lies in every set marked `true` and in no set marked `false`, of at most `longest` bytes.
pub(super) fn shortest(sets: &[(&Automaton, bool)], longest: usize, budget: &mut Budget) -> Result<Option<String>, TooLarge> {
    // Bytes that no automaton tells apart lead to the same places, so one of them stands for all.
    let mut alphabet: Vec<u8> = Vec::new();
    let mut classes = HashSet::new();
    for byte in readable() {
        let class: Vec<u8> = sets.iter().map(|(set, _)| set.dfa.byte_classes().get(byte)).collect();
        if classes.insert(class) {
            alphabet.push(byte);
        }
    }
    let done = |states: &[StateID]| sets.iter().zip(states).all(|((set, inside), state)| set.accepts_at(*state) == *inside);
    let start: Vec<StateID> = sets.iter().map(|(set, _)| set.start).collect();
    if done(&start) {
        return Ok(Some(String::new()));
    }
    let mut seen: HashSet<Vec<StateID>> = HashSet::from([start.clone()]);
    // Each place with how it was reached: from which place, by which byte.
    let mut places: Vec<(Vec<StateID>, usize, u8)> = vec![(start, 0, 0)];
    let (mut at, mut depth, mut end_of_level) = (0, 0, 1);
    while let Some((states, _, _)) = places.get(at).cloned() {
        if at == end_of_level {
            (depth, end_of_level) = (depth + 1, places.len());
        }
        if depth >= longest {
            return Ok(None);
        }
        budget.spend(alphabet.len().saturating_mul(sets.len().saturating_add(8)).saturating_mul(10))?;
        for byte in &alphabet {
            let next: Vec<StateID> =
                sets.iter().zip(&states).map(|((set, _), state)| set.dfa.next_state(*state, *byte)).collect();
            let lost = sets.iter().zip(&next).any(|((set, inside), state)| *inside && set.dfa.is_dead_state(*state));
            if lost || seen.contains(&next) {
                continue;
            }
            let found = done(&next);
            seen.insert(next.clone());
            places.push((next, at, *byte));
            if found {
                return Ok(Some(spelled(&places)));
            }
            if places.len() > MOST_STATES {
                return Err(TooLarge);
            }
        }
        at += 1;
    }
    Ok(None)
}

/// The text that leads to the last place.
fn spelled(places: &[(Vec<StateID>, usize, u8)]) -> String {
    let mut bytes = Vec::new();
    let mut at = places.len().saturating_sub(1);
    while let Some((_, from, byte)) = places.get(at).filter(|_| at > 0) {
        bytes.push(*byte);
        at = *from;
    }
    bytes.reverse();
    // Automata over characters accept nothing but whole characters.
    String::from_utf8_lossy(&bytes).into_owned()
}

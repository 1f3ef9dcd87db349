//! The narrowest pattern that texts have in common without being about these very texts.
//!
//! Of `v1.2.3` and `v1.2.4` the common beginning is `v1.2.`, but what comes next is `v1.3.0`: a beginning or an end that
//! stands beside numbers that count up is cut back to before its first digit.

use crate::policy::glob::Glob;

/// One glob over all of them; none where they have nothing in common, or where there is only one.
pub(super) fn common(texts: &[&str]) -> Option<Glob> {
    let split: Vec<Vec<(&str, Option<char>)>> = texts.iter().map(|text| segments(text)).collect();
    let (first, others) = split.split_first()?;
    if others.is_empty() || texts.iter().any(|text| text.contains('*')) {
        return None;
    }
    let mut glob = String::new();
    for (at, (segment, end)) in first.iter().enumerate() {
        let same_end = others.iter().all(|other| other.get(at).is_some_and(|(_, other)| other == end));
        if !same_end {
            // They go on differently: what is left is a trailing path, which has no colon in it.
            let path = |parts: &Vec<(&str, Option<char>)>| {
                let rest = parts.get(at..).unwrap_or_default();
                !matches!(rest, [] | [("", None)]) && rest.iter().all(|(_, end)| *end != Some(':'))
            };
            if at == 0 || !split.iter().all(path) {
                return None;
            }
            glob.push_str("**");
            return Glob::new(&glob).ok();
        }
        let parts: Vec<&str> = split.iter().filter_map(|parts| Some(parts.get(at)?.0)).collect();
        if parts.iter().all(|part| part == segment) {
            glob.push_str(segment);
        } else {
            glob.push_str(&one_segment(&parts)?);
        }
        glob.extend(end.iter());
    }
    Glob::new(&glob).ok()
}

/// The text between `/` and `:`, each with the sign that ends it.
fn segments(text: &str) -> Vec<(&str, Option<char>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['/', ':']) {
        let (head, tail) = rest.split_at(at);
        found.push((head, tail.chars().next()));
        rest = tail.get(1..).unwrap_or_default();
    }
    found.push((rest, None));
    found
}

/// `HEAD*TAIL` for parts of one segment that differ.
fn one_segment(parts: &[&str]) -> Option<String> {
    let head = beginning(parts);
    let rests: Vec<String> = parts.iter().map(|part| backwards(part.get(head.len()..).unwrap_or_default())).collect();
    let rests: Vec<&str> = rests.iter().map(String::as_str).collect();
    let tail = beginning(&rests);
    // Alone in its segment a star stands for something; an empty segment has nothing to stand for it.
    let empty = parts.iter().any(|part| part.is_empty());
    (!(empty && head.is_empty() && tail.is_empty())).then(|| format!("{head}*{}", backwards(tail)))
}

/// What they all begin with, up to its first digit, and without a piece of a word.
fn beginning<'a>(parts: &[&'a str]) -> &'a str {
    let Some((first, others)) = parts.split_first() else { return "" };
    let same = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
    let head = others.iter().fold(*first, |head, other| head.get(..same(head, other)).unwrap_or_default());
    let head = head.get(..head.find(|sign: char| sign.is_ascii_digit()).unwrap_or(head.len())).unwrap_or_default();
    let goes_on = |part: &&str| part.get(head.len()..).is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    if parts.iter().any(goes_on) { head.trim_end_matches(char::is_alphabetic) } else { head }
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_what_a_series_has_in_common() {
        for (texts, expected) in [
            (&["refs/tags/v1.2.3", "refs/tags/v1.2.4"][..], Some("refs/tags/v*")),
            (&["refs/heads/release/1", "refs/heads/release/2"], Some("refs/heads/release/*")),
            (&["refs/heads/release-2025-01", "refs/heads/release-2025-02"], Some("refs/heads/release-*")),
            (&["refs/heads/a", "refs/heads/b/c"], Some("refs/heads/**")),
            (&["refs/heads/a", "refs/tags/a"], Some("refs/*/a")),
            (&["main", "refs/heads/main"], None),
            (&["repo:a/b:ref:x", "repo:a/b:environment:x"], Some("repo:a/b:*:x")),
            (&["repo:a/b:x", "repo:a/b/c:x"], None),
            (&["deploy", "deps"], Some("*")),
            (&["a-eu-prod", "a-us-prod"], Some("a-*-prod")),
            (&["x"], None),
            (&["a*", "ab"], None),
            (&["a[1]", "a[2]"], None),
        ] {
            assert_eq!(common(texts).map(|glob| glob.to_string()).as_deref(), expected, "{texts:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_finds_takes_every_text(texts in proptest::collection::vec("[ab1/:.é-]{0,9}", 2..5)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            if let Some(glob) = common(&texts) {
                for text in &texts {
                    prop_assert!(glob.matches(text, false), "{glob} and {text:?} of {texts:?}");
                }
            }
        }
    }
}

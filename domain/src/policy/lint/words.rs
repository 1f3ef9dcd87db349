//! Judging what is written: texts, globs, names.

use crate::issuers::rule::{Is, Relation, Test};
use crate::policy::pattern::{Condition, Pattern, Value};
use crate::policy::set::Role;

/// The texts that a condition lists.
pub(super) fn texts(condition: &Condition) -> impl Iterator<Item = &str> {
    let texts = condition.pattern.values().into_iter().flatten();
    texts.filter_map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
}

/// What is written in a condition: its texts, or its glob.
pub(super) fn written(condition: &Condition) -> Vec<&str> {
    match &condition.pattern {
        Pattern::Glob(glob) => vec![glob.as_str()],
        _ => texts(condition).collect(),
    }
}

/// Whether names say that this is about production.
pub(super) fn production_like(role: &Role) -> bool {
    const WORDS: &[&str] = &["prod", "production", "prd", "live"];
    let says = |name: &str| name.split(['-', '_', '/', '.']).any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()));
    let environments = role.rows.iter().flat_map(|row| row.conditions.iter().filter(|it| it.claim == "environment"));
    says(&role.name) || environments.flat_map(texts).any(says)
}

/// What a condition compares letter by letter though it was meant as a pattern.
pub(super) fn mistaken(condition: &Condition) -> Vec<&str> {
    let glob = matches!(condition.pattern, Pattern::Glob(_));
    written(condition).into_iter().filter(|text| if glob { is_regex(text) } else { is_pattern(text) }).collect()
}

/// Whether a plain text was meant as a pattern, or as a variable of another language.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains('*') || is_regex(text)
}

/// Whether it was meant as a regular expression or a variable; none of this can stand in a glob either.
fn is_regex(text: &str) -> bool {
    text.starts_with('^') || text.ends_with('$') || ["${", "{{", "(?", "|", "\\"].iter().any(|sign| text.contains(sign))
}

/// Whether there is something in it that a reader does not see.
pub(super) fn is_odd(text: &str) -> bool {
    let unseen = |sign: char| {
        sign.is_control()
            || matches!(sign, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{3164}')
            || matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
    };
    text.trim() != text || text.chars().any(unseen)
}

/// Whether jobs ask for tokens with this audience for other services.
pub(super) fn is_shared(audience: &str) -> bool {
    const SHARED: &[&str] = &[
        "api://AzureADTokenExchange",
        "crates.io",
        "kubernetes.default.svc",
        "pypi",
        "rubygems.org",
        "sigstore",
        "sts.amazonaws.com",
        "testpypi",
        "vault",
    ];
    const HOSTS: &[&str] = &[
        "https://iam.googleapis.com/",
        "//iam.googleapis.com/",
        "https://kubernetes.default.svc",
        "https://sts.amazonaws.com",
        "npm:registry.npmjs.org",
        "https://octo-sts.dev",
    ];
    SHARED.contains(&audience) || HOSTS.iter().any(|host| audience.starts_with(host))
}

/// A relation in words.
pub(super) fn sentence(relation: &Relation) -> String {
    let all = |tests: &[Test]| tests.iter().map(words).collect::<Vec<_>>().join(" and ");
    match relation.when {
        [] => format!("in every token {}", all(relation.then)),
        when => format!("where {}, {}", all(when), all(relation.then)),
    }
}

fn words(test: &Test) -> String {
    let claim = test.claim;
    match test.is {
        Is::OneOf([one]) => format!("`{claim}` is {one}"),
        Is::OneOf(several) => format!("`{claim}` is one of {}", several.join(", ")),
        Is::NoneOf(several) => format!("`{claim}` is none of {}", several.join(", ")),
        Is::Begins(head) => format!("`{claim}` begins with {head}"),
        Is::BeginsNot(head) => format!("`{claim}` does not begin with {head}"),
        Is::Digits => format!("`{claim}` is a number of decimal digits"),
        Is::Flag(wanted) => format!("`{claim}` is {wanted}"),
        Is::Present => format!("`{claim}` is there"),
        Is::Absent => format!("`{claim}` is absent"),
        Is::SameAs(other) => format!("`{claim}` is the same as `{other}`"),
    }
}

//! Near misses: what a person would have taken for the same.

use super::pattern::{Condition, Pattern, Value};
use super::set::Issuer;
use crate::claims::{Claims, Json};

/// What the token as a whole almost got right.
pub(super) fn token(issuer: &Issuer, claims: &Claims) -> Vec<String> {
    let mut misses = Vec::new();
    if let Some(audience) = claims.text("aud").filter(|audience| *audience != issuer.audience) {
        let what = if audience.starts_with("https://github.com/") {
            "it is GitHub's default audience, so the job did not ask for one"
        } else {
            text(&issuer.audience, audience).unwrap_or("it was made for someone else")
        };
        misses.push(format!("aud is {audience} and should be {}: {what}", issuer.audience));
    }
    if let Some(iss) = claims.text("iss").filter(|iss| *iss != issuer.url) {
        let slug = iss.strip_prefix(issuer.url.as_str()).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
        let what = if slug { "it carries an enterprise slug" } else { text(&issuer.url, iss).unwrap_or("it is another issuer") };
        misses.push(format!("iss is {iss} and should be {}: {what}", issuer.url));
    }
    misses
}

/// Why a condition that does not hold looks as if it did.
pub(super) fn miss(condition: &Condition, claims: &Claims) -> Option<String> {
    let value = claims.get(&condition.claim)?;
    let told = match &condition.pattern {
        Pattern::OneOf(values) => values.iter().find_map(|wanted| one(&condition.claim, wanted, value)),
        Pattern::Glob(glob) => match value {
            Json::String(text) if glob.matches(text, true) => Some("it differs only by case"),
            Json::String(text) if crosses(glob, text) => Some("a * never crosses / or :"),
            _ => None,
        },
        Pattern::Present | Pattern::Absent => None,
    };
    told.map(str::to_owned)
}

fn one(claim: &str, wanted: &Value, value: &Json) -> Option<&'static str> {
    match (wanted, value) {
        (Value::Text(wanted), Json::String(actual)) => {
            text(wanted, actual).or_else(|| if claim == "sub" { subject(wanted, actual) } else { None })
        }
        (Value::Text(wanted), Json::Int(number)) if *wanted == number.to_string() => {
            Some("the token carries a number, not a string")
        }
        (Value::Int(wanted), Json::String(actual)) if *actual == wanted.to_string() => {
            Some("the token carries a string, not a number")
        }
        (Value::Text(wanted), Json::Bool(value)) if *wanted == value.to_string() => {
            Some("the token carries a boolean, not a string")
        }
        (Value::Bool(wanted), Json::String(actual)) if *actual == wanted.to_string() => {
            Some("the token carries a string, not a boolean")
        }
        _ => None,
    }
}

fn text(wanted: &str, actual: &str) -> Option<&'static str> {
    if wanted.eq_ignore_ascii_case(actual) {
        return Some("it differs only by case");
    }
    if wanted.trim() == actual.trim() {
        return Some("it differs only by white space");
    }
    if wanted.trim_end_matches('/') == actual.trim_end_matches('/') {
        return Some("it differs only by a trailing slash");
    }
    if let Some((a, b)) = wanted.split_once("://").zip(actual.split_once("://"))
        && a.1 == b.1
    {
        return Some("it differs only by http against https");
    }
    if wanted.replace("%3A", ":") == actual.replace("%3A", ":") {
        return Some("it differs only by %3A against a raw colon");
    }
    let short = |name: &str| name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).map(str::to_owned);
    if short(wanted).as_deref() == Some(actual) || short(actual).as_deref() == Some(wanted) {
        return Some("it differs only by the short against the full form of the ref");
    }
    if let Some((a, b)) = wanted.split_once(".yml@").zip(actual.split_once(".yml@"))
        && a.0 == b.0
    {
        return Some("it is the same file at another ref");
    }
    if let (Ok(a), Ok(b)) = (wanted.parse::<u128>(), actual.parse::<u128>())
        && a == b
    {
        return Some("it is the same number written otherwise");
    }
    None
}

/// GitHub's forms of `sub`: the classic and the immutable one, and what stands behind the repository.
fn subject(wanted: &str, actual: &str) -> Option<&'static str> {
    let (wanted_repo, wanted_context) = split(wanted)?;
    let (actual_repo, actual_context) = split(actual)?;
    let same = without_ids(wanted_repo).eq_ignore_ascii_case(&without_ids(actual_repo));
    if !same {
        return None;
    }
    let immutable = |repo: &str| repo.contains('@');
    if wanted_context == actual_context && immutable(wanted_repo) != immutable(actual_repo) {
        return Some("one is the classic, the other the immutable form of the subject");
    }
    let kind = |context: &str| context.split(':').next().unwrap_or_default().to_owned();
    match (kind(wanted_context).as_str(), kind(actual_context).as_str()) {
        ("environment", "ref") => Some("the environment form is expected, and the job declares no environment"),
        ("ref", "environment") => Some("the ref form is expected, and the job declares an environment"),
        (_, "pull_request") => Some("the job runs for a pull request"),
        _ => None,
    }
}

/// `repo:OWNER/REPO` and what follows.
fn split(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("repo:")?.split_once(':')
}

/// `acme@9919/shop@637712` as `acme/shop`.
fn without_ids(repo: &str) -> String {
    let bare: Vec<&str> = repo.split('/').map(|part| part.split_once('@').map_or(part, |(name, _)| name)).collect();
    bare.join("/")
}

/// Whether the text would fit if stars crossed segments.
fn crosses(glob: &super::glob::Glob, text: &str) -> bool {
    let Some((head, tail)) = glob.as_str().split_once('*') else { return false };
    let tail = tail.trim_start_matches('*');
    !tail.contains('*') && text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
}

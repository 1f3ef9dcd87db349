//! Near misses: what a person would have taken for the same.

use super::pattern::{Condition, Pattern, Value};
use super::set::{Issuer, Row};
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
    let value = claims.get(&condition.claim);
    let told = match (&condition.pattern, value) {
        (Pattern::OneOf(values), Some(value)) => values.iter().find_map(|wanted| one(&condition.claim, wanted, value)),
        (Pattern::Glob(glob), Some(Json::String(text))) => fits(&condition.claim, glob, text),
        _ => None,
    };
    told.map(str::to_owned).or_else(|| elsewhere(condition, claims))
}

/// What several conditions of a row tell together of the one that does not hold.
pub(super) fn in_row(issuer: &Issuer, row: &Row, condition: &Condition, claims: &Claims) -> Option<String> {
    let other = |claim: &str| row.conditions.iter().find(|other| other.claim == claim).is_some_and(|other| other.holds(claims));
    claims.get(&condition.claim)?;
    issuer.kind.ids().iter().find_map(|(name, id)| match condition.claim.as_str() {
        claim if claim == *id && other(name) => {
            Some(format!("{name} is right: the name was made anew, moved, or taken over by somebody else"))
        }
        claim if claim == *name && other(id) => Some(format!("{id} is right: it was renamed or moved")),
        _ => None,
    })
}

/// The expected value stands in another claim: the row asks the wrong one.
fn elsewhere(condition: &Condition, claims: &Claims) -> Option<String> {
    let wanted: Vec<&str> = condition.pattern.values()?.iter().filter_map(Value::as_text).filter(|text| text.len() > 2).collect();
    let mut others =
        claims.object().iter().filter(|(name, _)| *name != condition.claim && !matches!(*name, "iss" | "aud" | "jti"));
    let (name, _) = others.find(|(_, value)| value.as_str().is_some_and(|text| wanted.contains(&text)))?;
    Some(format!("the token says that in {name}"))
}

/// Why a text looks as if a glob took it.
fn fits(claim: &str, glob: &super::glob::Glob, text: &str) -> Option<&'static str> {
    let takes = |text: &str| glob.matches(text, false);
    let put = |head: &str| [head, text].concat();
    let bare = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/"));
    if glob.matches(text, true) {
        Some("it differs only by case")
    } else if takes(text.trim()) {
        Some("it differs only by white space")
    } else if takes(text.trim_end_matches('/')) || takes(&[text, "/"].concat()) {
        Some("it differs only by a trailing slash")
    } else if takes(&text.replacen("http://", "https://", 1)) || takes(&text.replacen("https://", "http://", 1)) {
        Some("it differs only by http against https")
    } else if takes(&text.replace("%3A", ":")) {
        Some("it differs only by %3A against a raw colon")
    } else if takes(&put("refs/heads/")) || takes(&put("refs/tags/")) || bare.is_some_and(takes) {
        Some("it differs only by the short against the full form of the ref")
    } else if takes(&turned(text)) {
        Some("one is a branch, the other a tag of that name")
    } else if claim == "sub" && split(text).is_some_and(|(repo, context)| takes(&format!("repo:{}:{context}", without_ids(repo))))
    {
        Some("the classic form of the subject is expected, and the token has the immutable one")
    } else if crosses(glob, text) {
        Some("a * never crosses / or :")
    } else {
        None
    }
}

/// A branch as a tag of its name, and the other way round.
fn turned(git_ref: &str) -> String {
    match (git_ref.strip_prefix("refs/heads/"), git_ref.strip_prefix("refs/tags/")) {
        (Some(branch), _) => format!("refs/tags/{branch}"),
        (_, Some(tag)) => format!("refs/heads/{tag}"),
        _ => git_ref.to_owned(),
    }
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
        (Value::Text(wanted), Json::Array(items)) if items.iter().any(|item| item.as_str() == Some(wanted)) => {
            Some("the token carries a list with it, not a string")
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
    if wanted != actual && turned(actual) == wanted {
        return Some("one is a branch, the other a tag of that name");
    }
    if wanted.replace(".yaml", ".yml") == actual.replace(".yaml", ".yml") {
        return Some("it differs only by .yaml against .yml");
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

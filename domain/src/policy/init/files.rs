//! The text of a first set: four files, as a person would lay them out.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Asked, Start};
use crate::issuers::rule::{AnyOf, Is, Test};
use crate::policy::print::quoted;
use crate::policy::problem::SourceFile;

/// Values of claims with few words, and another of them.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("true", "false"),
    ("false", "true"),
    ("branch", "tag"),
    ("tag", "branch"),
    ("push", "schedule"),
    ("web", "schedule"),
    ("webhook", "schedule"),
    ("apply", "plan"),
];

/// What the role's file cannot be called.
pub(super) const TAKEN: &[&str] = &["invariants", "issuers"];

pub(super) fn of(start: &Start, asked: &[Asked<'_>]) -> Vec<SourceFile> {
    let file = |path: String, text: String| SourceFile { path, text };
    let Start { role, .. } = start;
    let mut files = vec![
        file("issuers.toml".to_owned(), issuers(start)),
        file(format!("{role}.toml"), self::role(start, asked)),
        file("invariants.toml".to_owned(), invariants(start, asked)),
        file(format!("cases/{role}.toml"), cases(start, asked)),
    ];
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn issuers(start: &Start) -> String {
    let mut out = format!("# Whom we believe. No other issuer is ever contacted.\n\n[issuer.{}]\n", start.kind.name());
    aligned(
        &mut out,
        &[
            ("kind", quoted(start.kind.name()), None),
            ("url", quoted(&start.url), Some("byte for byte the token's iss".to_owned())),
            ("audience", quoted(&start.audience), Some("exactly one: this broker".to_owned())),
        ],
    );
    out
}

fn role(start: &Start, asked: &[Asked<'_>]) -> String {
    let Start { role, .. } = start;
    let job = start.kind.job(&start.url, &start.claims);
    let project = job.project_name.or(job.project).unwrap_or_default();
    let what = job.git_ref.map_or_else(|| project.clone(), |git_ref| format!("{project} at {git_ref}"));
    let mut out = format!("# What the jobs of {} may become.\n\n[role.{role}]\n", remark(&project));
    let description = quoted(&format!("Jobs of {what}."));
    aligned(&mut out, &[("description", description, None), ("ttl", quoted("15m"), None)]);
    let _ = write!(out, "\n[[role.{role}.allow]]\n");
    let issuer = ("issuer", quoted(start.kind.name()), None);
    let conditions = asked.iter().map(|asked| {
        let name = start.kind.ids().iter().find(|(_, id)| *id == asked.claim).and_then(|(name, _)| start.claims.text(name));
        (asked.claim, asked.pattern.to_string(), name.map(remark))
    });
    aligned(&mut out, &[issuer].into_iter().chain(conditions).collect::<Vec<_>>());
    let _ = write!(
        out,
        "\n# The least there is to give, a stored secret. Put what the job needs in its place.\n[role.{role}.credential.secret]\n"
    );
    aligned(&mut out, &[("engine", quoted("kv"), None), ("path", quoted(&format!("{role}/example")), None)]);
    out
}

fn invariants(start: &Start, asked: &[Asked<'_>]) -> String {
    let Start { role, .. } = start;
    let issuer = quoted(start.kind.name());
    let mut out = "# What must never become possible, whoever edits the roles.\n".to_owned();
    let mut write = |name: String, bound: &str, claim: &str, value: &str| {
        out.push_str("\n[[invariant]]\n");
        let body = format!("{{ role = {}, {} = {value} }}", quoted(role), key(claim));
        aligned(&mut out, &[("name", quoted(&name), None), ("issuer", issuer.clone(), None), (bound, body, None)]);
    };
    for (claim, example) in asked.iter().filter(|asked| asked.pins).filter_map(|asked| Some((asked.claim, asked.example?))) {
        write(format!("{role} is for one {claim} alone"), "only", claim, &quoted(example));
    }
    for (claim, words) in forbidden(start) {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        write(format!("no job of outsiders becomes {role} by its {claim}"), "never", claim, &format!("[{}]", words.join(", ")));
    }
    out
}

fn cases(start: &Start, asked: &[Asked<'_>]) -> String {
    let Start { role, .. } = start;
    let mut out =
        "# Examples that must keep holding. What a case does not say comes from the issuer's sample token.\n".to_owned();
    let (said, without) = said(start, asked);
    let mut write = |name: String, changed: &[(&str, &str)], expect: &str, code: Option<&str>| {
        out.push_str("\n[[case]]\n");
        let mut claims = said.clone();
        claims.extend(changed.iter().copied());
        let claims: Vec<String> = claims.iter().map(|(claim, value)| format!("{} = {}", key(claim), quoted(value))).collect();
        let mut lines = vec![
            ("name", quoted(&name), None),
            ("issuer", quoted(start.kind.name()), None),
            ("claims", format!("{{ {} }}", claims.join(", ")), None),
        ];
        let without: Vec<String> = without
            .iter()
            .filter(|claim| changed.iter().all(|(changed, _)| changed != *claim))
            .map(|claim| quoted(claim))
            .collect();
        if !without.is_empty() {
            lines.push(("without", format!("[{}]", without.join(", ")), None));
        }
        lines.extend([("role", quoted(role), None), ("expect", quoted(expect), None)]);
        lines.extend(code.map(|code| ("code", quoted(code), None)));
        aligned(&mut out, &lines);
    };
    write("the job comes in".to_owned(), &[], "allow", None);
    for asked in asked {
        let other = asked.example.map_or_else(|| "other".to_owned(), other);
        let changed: Vec<(&str, &str)> = along(start, asked.claim).into_iter().map(|claim| (claim, other.as_str())).collect();
        write(format!("another {} stays out", asked.claim), &changed, "deny", None);
    }
    for veto in start.kind.vetoes() {
        if let Some((claim, word)) = struck_by(start, veto.passes) {
            write(format!("{} = {word} stays out", veto.claim), &[(claim, word)], "deny", Some(veto.code.as_str()));
        }
    }
    out
}

/// The claim, and those that a veto wants to be the same: another value of it alone would be kept out by the veto, so that the case
/// would not notice if the condition went away.
fn along<'a>(start: &Start, claim: &'a str) -> Vec<&'a str> {
    let tests = start.kind.vetoes().iter().flat_map(|veto| veto.passes.iter().copied().flatten());
    let mut same: Vec<&str> = tests
        .filter_map(|test| match test.is {
            Is::SameAs(other) if test.claim == claim => Some(other),
            Is::SameAs(other) if other == claim => Some(test.claim),
            _ => None,
        })
        .chain([claim])
        .collect();
    same.sort_unstable();
    same.dedup();
    same
}

/// What the cases say of the token, and what it lacks and the sample has: the conditions with their names, and where the token
/// is not as the sample, what vetoes look at.
fn said<'a>(start: &'a Start, asked: &[Asked<'a>]) -> (BTreeMap<&'a str, &'a str>, Vec<&'a str>) {
    let (kind, sample) = (&start.kind, start.kind.sample());
    let mut said: BTreeMap<&str, &str> = asked.iter().filter_map(|asked| Some((asked.claim, asked.example?))).collect();
    for (name, id) in kind.ids() {
        if let Some(value) = start.claims.text(name).filter(|_| said.contains_key(id)) {
            said.insert(name, value);
        }
    }
    let lacks = asked.iter().filter(|asked| asked.example.is_none() && sample.text(asked.claim).is_some());
    let mut without: Vec<&str> = lacks.map(|asked| asked.claim).collect();
    let tests = kind.vetoes().iter().flat_map(|veto| veto.passes.iter().copied().flatten());
    let looked_at = tests.flat_map(|test| match test.is {
        Is::SameAs(other) => vec![test.claim, other],
        _ => vec![test.claim],
    });
    for claim in looked_at {
        match (start.claims.text(claim), sample.text(claim)) {
            (Some(value), held) if held != Some(value) => {
                said.insert(claim, value);
            }
            (None, Some(_)) if !without.contains(&claim) => without.push(claim),
            _ => {}
        }
    }
    (said, without)
}

/// Words that vetoes forbid, by claim.
fn forbidden(start: &Start) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for veto in start.kind.vetoes() {
        if let [[Test { claim, is: Is::NoneOf(words) }]] = veto.passes {
            found.entry(claim).or_default().extend(*words);
        }
    }
    found
}

/// A value of one claim on which a veto strikes; of those that tokens can have, where that is known.
fn struck_by(start: &Start, passes: AnyOf) -> Option<(&'static str, &'static str)> {
    let relations = start.kind.relations().iter().filter(|relation| relation.when.is_empty());
    let known: Vec<&Test> = relations.flat_map(|relation| relation.then).collect();
    let words = |wanted: &str| {
        known.iter().find_map(|test| if let Is::OneOf(words) = test.is { (test.claim == wanted).then_some(words) } else { None })
    };
    match passes {
        [[Test { claim, is: Is::NoneOf([word, ..]) }]] => Some((claim, word)),
        [[Test { claim, is: Is::OneOf(good) }]] => {
            let bad = words(claim).unwrap_or_default().iter().find(|word| !good.contains(word));
            Some((claim, bad.copied().unwrap_or("other")))
        }
        _ => None,
    }
}

fn other(value: &str) -> String {
    if let Some((_, other)) = OTHER_WORDS.iter().find(|(word, _)| *word == value) {
        return (*other).to_owned();
    }
    let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if number { format!("{value}0") } else { format!("{value}-other") }
}

/// `key = value` lines with their equals signs and remarks below each other.
fn aligned(out: &mut String, lines: &[(&str, String, Option<String>)]) {
    let keys: Vec<String> = lines.iter().map(|(name, ..)| key(name)).collect();
    let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or(0);
    let remarked = lines.iter().filter(|(_, _, remark)| remark.is_some());
    let column = remarked.map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    for (key, (_, value, remark)) in keys.iter().zip(lines) {
        // Writing to a string cannot fail.
        let _ = match remark {
            Some(remark) => writeln!(out, "{key:width$} = {value:column$}   # {remark}"),
            None => writeln!(out, "{key:width$} = {value}"),
        };
    }
}

fn key(name: &str) -> String {
    let bare = name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A text that stays on its line.
fn remark(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

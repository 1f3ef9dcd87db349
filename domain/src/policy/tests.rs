//! The policy as a whole: the starter set, the decision vectors, the properties.

use std::path::Path;

use super::*;
use crate::claims::Claims;
use crate::refusal::Refusal;

mod accepting;
mod conditions;
mod globs;
mod hashes;
mod limits;
mod lints;
mod loading;
mod monotone;
mod near_misses;
mod owners;
mod published;
mod schema;
mod situations;
mod starter;
mod vectors;

/// The starter set of this repository.
pub(super) fn starter() -> Vec<SourceFile> {
    set_at("policies")
}

/// A set by its folder in the checkout.
pub(super) fn set_at(folder: &str) -> Vec<SourceFile> {
    fn walk(folder: &Path, root: &Path, files: &mut Vec<SourceFile>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push(SourceFile { path: relative, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Two issuers, and a role whose row the test writes.
pub(super) const ISSUERS: &str = r#"
[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.example.com"
"#;

pub(super) fn with_row(row: &str) -> Vec<SourceFile> {
    one(&format!(
        "{ISSUERS}\n[[role.deploy.allow]]\nissuer = \"github\"\n{row}\n[role.deploy.credential.secret]\nengine = \"kv\"\npath = \"shop/registry\"\n"
    ))
}

/// What is said about a set, as `line:column rule message (help)`.
pub(super) fn problems(files: Vec<SourceFile>) -> Vec<Problem> {
    PolicySet::load(files).map_or_else(|problems| problems, |_| Vec::new())
}

/// A set of one file.
pub(super) fn one(text: &str) -> Vec<SourceFile> {
    vec![SourceFile { path: "set.toml".to_owned(), text: text.to_owned() }]
}

pub(super) fn loaded(files: Vec<SourceFile>) -> PolicySet {
    PolicySet::load(files).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

pub(super) fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

pub(super) fn ask<'a>(issuer: &'a str, claims: &'a Claims, role: Option<&'a str>) -> Ask<'a> {
    Ask { issuer, claims, role, credentials: &[], ttl: None, now: 1_790_000_010 }
}

/// Decides both ways and insists that they agree.
pub(super) fn both(set: &PolicySet, ask: &Ask<'_>) -> Result<Allowed, Refusal> {
    let outcome = decide(set, ask);
    let explained = explain(set, ask);
    assert_eq!(explained.code, outcome.as_ref().err().map(|refusal| refusal.code.as_str()));
    assert_eq!(explained.role.as_deref(), outcome.as_ref().ok().map(|allowed| allowed.role.as_str()));
    outcome
}

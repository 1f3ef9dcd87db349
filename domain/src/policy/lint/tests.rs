use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::policy::finding::Finding;
use crate::policy::{PolicySet, SourceFile};

mod crowds;
mod edges;

/// What the lints find in a set and nobody accepted.
fn found(example: &str) -> Vec<Finding> {
    let text = whole(example);
    let set = PolicySet::load(files(&text)).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    run(&set).into_iter().filter(|finding| finding.accepted.is_none()).collect()
}

/// An example of several files has their names as comments, each above its file.
fn files(text: &str) -> Vec<SourceFile> {
    let mut files = vec![SourceFile { path: "set.toml".to_owned(), text: String::new() }];
    for line in text.lines() {
        match line.strip_prefix("# ").filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "toml")) {
            Some(name) => files.push(SourceFile { path: name.to_owned(), text: String::new() }),
            None => writeln!(files.last_mut().unwrap().text, "{line}").unwrap(),
        }
    }
    files.retain(|file| !file.text.is_empty());
    files
}

#[test]
fn every_lint_finds_its_bad_example_and_not_its_good_one() {
    let mut wrong = String::new();
    for lint in LINTS {
        let bad: Vec<&str> = found(lint.bad).iter().map(|finding| finding.rule).collect();
        // What is waived is accepted by its waiver.
        let expected: &[&str] = if lint.name == "waived" { &[] } else { &[lint.name] };
        if bad != expected {
            writeln!(wrong, "{}: the bad example gives {bad:?}", lint.name).unwrap();
        }
        let good: Vec<&str> = found(lint.good).iter().map(|finding| finding.rule).collect();
        if !good.is_empty() {
            writeln!(wrong, "{}: the good example gives {good:?}", lint.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn lints_are_listed_by_name_and_tell_everything() {
    for pair in LINTS.windows(2) {
        assert!(pair[0].name < pair[1].name, "{} stands before {}", pair[0].name, pair[1].name);
    }
    for lint in LINTS {
        assert!(lint.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", lint.name);
        for text in [lint.summary, lint.reason, lint.remedy] {
            assert!(text.ends_with('.'), "{}: {text}", lint.name);
        }
        for threat in lint.threats {
            assert!(THREATS.iter().any(|(known, _)| known == threat), "{}: {threat}", lint.name);
        }
    }
    for (threat, _) in THREATS {
        assert!(LINTS.iter().any(|lint| lint.threats.contains(threat)), "no lint speaks of {threat}");
    }
}

#[test]
fn a_finding_is_accepted_where_it_stands_or_by_its_role() {
    let row = "[[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nenvironment = \"production\"\n";
    let accept = "accept = { environment-without-ref = \"the environment takes main only\" }\n";
    assert_eq!(found(row).len(), 1);
    let in_row = format!("{row}{accept}");
    let in_role = format!("[role.deploy]\n{accept}{row}");
    for text in [in_row, in_role] {
        assert!(found(&text).is_empty(), "{:?}", found(&text));
        let set = PolicySet::load(vec![SourceFile { path: "a.toml".to_owned(), text: whole(&text) }]).unwrap();
        let accepted: Vec<Option<String>> = run(&set).into_iter().map(|finding| finding.accepted).collect();
        assert_eq!(accepted, [Some("the environment takes main only".to_owned())]);
    }
    // Another row is not spoken of.
    let other = row.replace("637712", "637713");
    assert_eq!(found(&format!("{row}{accept}\n{other}")).len(), 1);
}

#[test]
fn an_acceptance_that_nothing_needs_is_a_finding() {
    let row = "[[role.deploy.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n";
    let found = found(&format!("{row}accept = {{ environment-without-ref = \"once\" }}\n"));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].rule, found[0].place.line, found[0].place.column), (UNUSED_ACCEPT, 5, 12));
}

#[test]
fn the_page_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lints.md");
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(written == page(), "docs/lints.md is not what the lints say: run ./dev generate");
}

//! The situations by which `docs/policy.md` teaches: sound sets whose cases hold, and a text that says what they say.

use std::collections::BTreeSet;

use super::*;

fn checkout(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(checkout("docs/policy")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn text() -> String {
    std::fs::read_to_string(checkout("docs/policy.md")).unwrap()
}

#[test]
fn every_situation_is_a_sound_set_whose_cases_hold_and_exercise_every_condition() {
    assert_eq!(folders().len(), 10);
    for folder in folders() {
        let report = check(set_at(&format!("docs/policy/{folder}")));
        assert!(
            report.is_sound(true),
            "{folder}\n{}",
            lines(&report.findings().into_iter().map(Problem::from).collect::<Vec<_>>())
        );
        let expectations: BTreeSet<bool> = report.cases.iter().map(|case| case.expected == "allow").collect();
        assert_eq!(expectations.len(), 2, "{folder}: cases that allow and cases that deny");
        let set = report.set.unwrap();
        assert!(!set.invariants().is_empty(), "{folder} has no invariant");
        for role in set.roles() {
            let of_it = |case: &&Case| case.role.as_deref() == Some(role.name.as_str()) && case.expect == Expect::Allow;
            assert!(set.cases().iter().any(|case| of_it(&case)), "{folder}: no case lets anyone into {}", role.name);
        }
        // As `policy test --coverage --strict` asks, for whoever copies a situation into a pipeline that does.
        let unexercised: Vec<_> = coverage(&set, &report.cases).rows.into_iter().filter(|row| !row.is_whole()).collect();
        assert!(unexercised.is_empty(), "{folder}: {unexercised:#?}");
    }
}

#[test]
fn the_text_shows_what_stands_in_the_folders() {
    let text = text();
    let (_, situations) = text.split_once("\n## Ten situations\n").unwrap();
    let situations = situations.split("\n## ").next().unwrap();
    let mut shown = BTreeSet::new();
    for section in situations.split("\n### ").skip(1) {
        let (_, link) = section.split_once("](policy/").unwrap_or_else(|| panic!("no folder is linked in\n{section}"));
        let folder = link.split(')').next().unwrap();
        let policy = std::fs::read_to_string(checkout(&format!("docs/policy/{folder}/policy.toml"))).unwrap();
        let blocks: Vec<&str> = section.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{folder} shows nothing");
        for block in blocks {
            assert!(policy.contains(block), "docs/policy.md shows what docs/policy/{folder}/policy.toml does not say:\n{block}");
        }
        shown.insert(folder.to_owned());
    }
    assert_eq!(shown, folders());
}

#[test]
fn the_text_names_every_kind_of_issuer_and_every_waiver() {
    let text = text();
    for kind in crate::issuers::built_in() {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.name())));
        let row = row.unwrap_or_else(|| panic!("docs/policy.md has no row for {}", kind.name()));
        for claim in kind.claims().iter().filter(|claim| claim.pins_project || claim.gates_code) {
            assert!(row.contains(&format!("`{}`", claim.name)), "{}: {}", kind.name(), claim.name);
        }
        for veto in kind.vetoes() {
            assert!(row.contains(&format!("`{}`", veto.name)), "{}: {}", kind.name(), veto.name);
        }
    }
}

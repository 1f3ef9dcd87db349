//! Every set below integration/unsafe is refused, for exactly what its expect.toml says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Job, Ran};

/// Rule, severity, file, line.
type Told = (String, String, String, i64);

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/unsafe");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders
}

fn check(folder: &Path, strict: bool) -> Ran {
    let job = Job::at_address("");
    let policies = folder.join("policies");
    let mut words = vec!["--format", "json", "policy", "check", policies.to_str().expect("text")];
    if strict {
        words.push("--strict");
    }
    Ran::of(job.bare(&words).env_remove("DAYPASS_ADDR"))
}

/// What is expected, and whether only a strict check refuses.
fn expected(folder: &Path) -> (Vec<Told>, bool) {
    let text = std::fs::read_to_string(folder.join("expect.toml")).expect("expect.toml");
    let table: toml::Table = text.parse().expect("TOML");
    let text = |finding: &toml::Value, key: &str| finding[key].as_str().expect("text").to_owned();
    let findings = table["finding"].as_array().expect("findings").iter().map(|finding| {
        let line = finding["line"].as_integer().expect("a line");
        (text(finding, "rule"), text(finding, "severity"), text(finding, "file"), line)
    });
    let strict = table.get("strict").and_then(toml::Value::as_bool).unwrap_or(false);
    (findings.collect(), strict)
}

fn told(ran: &Ran) -> Vec<Told> {
    let document: Value = serde_json::from_str(&ran.stdout).expect("json");
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("text").to_owned();
    let findings = document["findings"].as_array().expect("findings").iter().filter(|finding| finding["accepted"].is_null());
    let told = findings.map(|finding| {
        let line = finding["line"].as_i64().expect("a line");
        (text(finding, "rule"), text(finding, "severity"), text(finding, "file"), line)
    });
    told.collect()
}

#[test]
fn every_unsafe_set_is_refused_for_what_makes_it_so() {
    let folders = folders();
    assert!(folders.len() >= 60, "only {} sets were seen", folders.len());
    let mut wrong = Vec::new();
    for folder in &folders {
        let (mut expected, strict) = expected(folder);
        let ran = check(folder, strict);
        let mut told = told(&ran);
        expected.sort();
        told.sort();
        if ran.code != Some(1) || told != expected {
            wrong.push(format!("{}: exit {:?}\n  expected {expected:?}\n  told     {told:?}", folder.display(), ran.code));
        }
        if strict && check(folder, false).code != Some(0) {
            wrong.push(format!("{}: a check that is not strict refuses it too", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! The forms in which `policy check` tells what it found.

use std::path::Path;

use serde_json::Value;

use crate::run::{Job, Ran};

const ISSUERS: &str = "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://b.example\"\n";
const ROW: &str = "[[role.shop.allow]]\nissuer = \"github\"\nrepository_id = \"637712\"\nenvironment = \"production\"\n";
const CREDENTIAL: &str = "[role.shop.credential.c]\nengine = \"kv\"\npath = \"shop/a\"\n";

/// A set with one warning, and whatever else stands in its row.
fn set(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("policies")).expect("made");
    std::fs::write(folder.path().join("policies/issuers.toml"), ISSUERS).expect("written");
    std::fs::write(folder.path().join("policies/shop.toml"), format!("{ROW}{more}\n{CREDENTIAL}")).expect("written");
    folder
}

/// Checks as somebody does who stands in the checkout.
fn check(folder: &Path, words: &[&str]) -> Ran {
    let job = Job::at_address("");
    let words = [&["policy", "check"], words].concat();
    Ran::of(job.bare(&words).env_remove("DAYPASS_ADDR").current_dir(folder))
}

#[test]
fn people_see_the_line_with_what_is_meant_underlined() {
    let folder = set("");
    let ran = check(folder.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let shown = "warning[environment-without-ref]: row 1 of role `shop` takes any ref that names the environment\n \
                 --> policies/shop.toml:4:1\n  |\n4 | environment = \"production\"\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^\n  = help: ";
    assert!(ran.stdout.starts_with(shown), "{}", ran.stdout);
    assert!(ran.stdout.contains("the set is sound: 1 warning,"), "{}", ran.stdout);
    let strict = check(folder.path(), &["--strict"]);
    assert!(strict.code == Some(1) && strict.stdout.contains("the set is refused"), "{}", strict.stdout);
    let coloured = check(folder.path(), &["--color", "always"]);
    assert!(coloured.stdout.contains("\u{1b}["), "{}", coloured.stdout);
}

#[test]
fn what_is_accepted_is_listed_and_stands_against_nothing() {
    let folder = set("accept = { environment-without-ref = \"it takes main only\" }");
    let ran = check(folder.path(), &["--strict", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).expect("json");
    assert_eq!((ran.code, &document["sound"], &document["accepted"]), (Some(0), &true.into(), &1.into()));
    assert_eq!(document["findings"][0]["accepted"], "it takes main only");
    let text = check(folder.path(), &[]);
    assert!(text.stdout.starts_with("the set is sound: 1 accepted,"), "{}", text.stdout);
    let github = check(folder.path(), &["--format", "github"]);
    assert_eq!((github.code, github.stdout.as_str()), (Some(0), ""));
}

#[test]
fn github_reads_one_annotation_for_each_finding() {
    let folder = set("event_name = \"pull_request_target\"");
    let ran = check(folder.path(), &["--format", "github"]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.stdout);
    let warning = "::warning file=policies/shop.toml,line=4,endLine=4,col=1,endColumn=27,title=environment-without-ref::row 1";
    assert!(lines[0].starts_with(warning), "{}", lines[0]);
    assert!(lines[1].starts_with("::error file=policies/shop.toml,line=5,") && lines[1].contains("%0A"), "{}", lines[1]);
}

/// Everything that the schema of SARIF 2.1.0 has against a log.
fn against_sarif(log: &Value) -> Vec<String> {
    let mut schema: Value = serde_json::from_str(include_str!("../schemas/sarif-2.1.0-rtm.5.json")).expect("a schema");
    // What it asks of a language is no regular expression in most dialects. No log of ours names one.
    for pointer in ["/definitions/run/properties/language", "/definitions/toolComponent/properties/language"] {
        let language = schema.pointer_mut(pointer).and_then(Value::as_object_mut).expect("a language");
        assert!(language.remove("pattern").is_some());
    }
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft4).should_validate_formats(true);
    let validator = options.build(&schema).expect("a validator");
    validator.iter_errors(log).map(|error| format!("{} {error}", error.instance_path())).collect()
}

#[test]
fn every_sarif_log_fits_the_schema_of_the_standard() {
    let sound = set("accept = { environment-without-ref = \"it takes main only\" }");
    let (unsound, unreadable, broken) =
        (set("event_name = \"pull_request_target\""), set("ttl = \"x\""), set("event_name = [[["));
    let failing = "[[case]]\nname = \"nobody\"\nissuer = \"github\"\nrole = \"shop\"\nexpect = \"allow\"\n";
    let failing =
        set(&format!("{failing}[[invariant]]\nname = \"i\"\nissuer = \"github\"\nnever = {{ environment = \"production\" }}"));
    std::fs::create_dir(sound.path().join("policies/team ä #1")).expect("made");
    for folder in [&sound, &unsound, &unreadable, &broken, &failing] {
        let ran = check(folder.path(), &["--format", "sarif"]);
        let log: Value = serde_json::from_str(&ran.stdout).expect("json");
        assert!(log["runs"][0]["results"].as_array().is_some_and(|results| !results.is_empty()), "{}", ran.stdout);
        assert_eq!(against_sarif(&log), [""; 0], "{}", ran.stdout);
    }
    // By its whole path, and with names that are no URIs as they stand.
    std::fs::rename(sound.path().join("policies/shop.toml"), sound.path().join("policies/team ä #1/shop.toml")).expect("moved");
    let whole = check(Path::new("/"), &[sound.path().join("policies").to_str().expect("text"), "--format", "sarif"]);
    let mut log: Value = serde_json::from_str(&whole.stdout).expect("json");
    assert_eq!(against_sarif(&log), [""; 0], "{}", whole.stdout);
    // The check itself can fail: a level that does not exist, a column before the first, a key that nobody knows.
    let result = &mut log["runs"][0]["results"][0];
    result["level"] = "grave".into();
    result["locations"][0]["physicalLocation"]["region"]["startColumn"] = 0.into();
    result["colour"] = "red".into();
    assert_eq!(against_sarif(&log).len(), 3, "{:?}", against_sarif(&log));
}

#[test]
fn code_scanning_reads_sarif() {
    let folder = set("event_name = \"pull_request_target\"\naccept = { environment-without-ref = \"it takes main only\" }");
    let ran = check(folder.path(), &["--format", "sarif"]);
    assert_eq!(ran.code, Some(1));
    let log: Value = serde_json::from_str(&ran.stdout).expect("json");
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().is_some_and(|schema| schema.ends_with("sarif-schema-2.1.0.json")));
    let run = &log["runs"][0];
    assert_eq!(log["runs"].as_array().map(Vec::len), Some(1));
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(run["tool"]["driver"]["name"], "daypass policy check");
    for rule in rules {
        for text in [&rule["id"], &rule["shortDescription"]["text"], &rule["help"]["text"]] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
        assert!(["error", "warning", "note"].map(Value::from).contains(&rule["defaultConfiguration"]["level"]), "{rule}");
    }
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    let mut fingerprints = Vec::new();
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policies/shop.toml");
        for key in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(place["region"][key].as_u64().is_some_and(|at| at >= 1), "{place}");
        }
        fingerprints.push(result["partialFingerprints"]["daypassFinding/v1"].as_str().expect("a fingerprint").to_owned());
    }
    assert_eq!(results[0]["suppressions"], serde_json::json!([{ "kind": "inSource", "justification": "it takes main only" }]));
    assert!(results[1].get("suppressions").is_none() && fingerprints[0] != fingerprints[1]);

    // A line above moves the findings, not their fingerprints.
    let file = folder.path().join("policies/shop.toml");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, format!("# moved\n\n{text}")).expect("written");
    let moved: Value = serde_json::from_str(&check(folder.path(), &["--format", "sarif"]).stdout).expect("json");
    for (result, fingerprint) in moved["runs"][0]["results"].as_array().expect("results").iter().zip(&fingerprints) {
        assert_eq!(result["partialFingerprints"]["daypassFinding/v1"], fingerprint.as_str());
    }
}

#[test]
fn what_cannot_be_read_is_no_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    for words in [&["none"][..], &["."], &[".", "--format", "sarif"]] {
        let ran = check(folder.path(), words);
        assert!(ran.code == Some(2) && ran.stdout.is_empty(), "{words:?}: {:?} {}", ran.code, ran.stdout);
    }
    let other = Ran::of(Job::at_address("").bare(&["--format", "sarif", "policy", "explain"]).env_remove("DAYPASS_ADDR"));
    assert!(other.code == Some(2) && other.stderr.contains("policy check"), "{}", other.stderr);
}

#[test]
fn coverage_tells_what_no_case_exercises() {
    let folder = set("ref = \"refs/heads/main\"");
    let case = |name: &str, claims: &str, expect: &str| {
        format!(
            "[[case]]\nname = \"{name}\"\nissuer = \"github\"\nclaims = {{ {claims} }}\nrole = \"shop\"\nexpect = \"{expect}\"\n"
        )
    };
    let cases = [
        case("main deploys", "environment = \"production\"", "allow"),
        case("a branch stays out", "environment = \"production\", ref = \"refs/heads/x\"", "deny"),
        // Two conditions fail: neither is shown to be needed.
        case("others stay out", "repository_id = \"1\", environment = \"x\"", "deny"),
    ];
    std::fs::write(folder.path().join("policies/cases.toml"), cases.concat()).expect("written");
    let test = |words: &[&str]| {
        let words = [&["policy", "test"], words].concat();
        Ran::of(Job::at_address("").bare(&words).env_remove("DAYPASS_ADDR").current_dir(folder.path()))
    };
    let plain = test(&[]);
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(0), "3 of 3 cases hold\n"));
    let document: Value = serde_json::from_str(&test(&["--coverage", "--format", "json"]).ok()).expect("json");
    let row = &document["coverage"]["rows"][0];
    assert_eq!((&row["role"], &row["allowed_by"], &row["conditions"]), (&"shop".into(), &1.into(), &3.into()));
    assert_eq!(row["unexercised"], serde_json::json!(["environment", "repository_id"]));
    let strict = test(&["--coverage", "--strict"]);
    assert!(strict.code == Some(1) && strict.stdout.contains("environment, repository_id"), "{}", strict.stdout);
    let more = [
        case("no environment", "environment = \"x\"", "deny"),
        case("another", "repository_id = \"1\", environment = \"production\"", "deny"),
    ];
    std::fs::write(folder.path().join("policies/more.toml"), more.concat()).expect("written");
    assert_eq!(test(&["--coverage", "--strict"]).code, Some(0));
    let failing = case("a lie", "environment = \"production\"", "deny");
    std::fs::write(folder.path().join("policies/more.toml"), failing).expect("written");
    let failed = test(&[]);
    assert!(failed.code == Some(1) && failed.stdout.contains("a lie expects deny and gets allow"), "{}", failed.stdout);
}

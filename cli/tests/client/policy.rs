use std::path::Path;

use crate::run::{Job, Ran};

/// The starter set of this repository.
pub(crate) fn starter() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").to_str().expect("text").to_owned()
}

/// No broker is there, and none is needed.
fn offline(words: &[&str]) -> Ran {
    let job = Job::at_address("");
    Ran::of(job.bare(words).env_remove("DAYPASS_ADDR"))
}

#[test]
fn the_starter_set_is_sound() {
    let ran = offline(&["policy", "check", &starter()]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("cases hold") && ran.stdout.contains("set "), "{}", ran.stdout);
    let json = offline(&["--format", "json", "policy", "check", &starter()]).ok();
    let report: serde_json::Value = serde_json::from_str(&json).expect("json");
    assert_eq!((&report["sound"], &report["findings"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn every_problem_comes_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("issuers.toml"),
        "[issuer.github]\nkind = \"github\"\nurl = \"https://token.actions.githubusercontent.com\"\naudience = \"https://b.example\"\nsize = 3\n",
    )
    .expect("written");
    std::fs::write(folder.path().join("shop.toml"), "[role.shop]\nttl = \"soon\"\n").expect("written");
    let path = folder.path().to_str().expect("text");
    let ran = offline(&["policy", "check", path]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("issuers.toml:5:1") && ran.stdout.contains("shop.toml:2:"), "{}", ran.stdout);
    let job = Job::at_address("");
    let annotated = Ran::of(job.bare(&["policy", "check", path]).env("GITHUB_ACTIONS", "true"));
    assert!(
        annotated.stdout.contains("::error file=") && annotated.stdout.contains("issuers.toml,line=5,"),
        "{}",
        annotated.stdout
    );
    let explain = offline(&["policy", "explain", path]);
    assert_eq!(explain.code, Some(2));
    assert!(explain.stderr.contains("policy check"), "{}", explain.stderr);
}

#[test]
fn explains_a_typical_token_with_changes() {
    let folder = starter();
    let ask = |more: &[&str]| {
        let words = ["policy", "explain", folder.as_str(), "--issuer", "github", "--role", "shop-deploy-prod"];
        offline(&[&words, more].concat())
    };
    let allowed = ask(&["--claim", "environment=production"]);
    assert_eq!(allowed.code, Some(0), "{}{}", allowed.stdout, allowed.stderr);
    assert!(allowed.stdout.starts_with("allow"), "{}", allowed.stdout);
    assert!(allowed.stdout.contains(": 30m, limited by role ("), "times are told in one form: {}", allowed.stdout);
    let denied = ask(&["--claim", "environment=production", "--claim", "ref=refs/heads/mian"]);
    assert_eq!(denied.code, Some(1));
    assert!(denied.stdout.contains("no  ref") && denied.stdout.contains("refs/heads/mian"), "{}", denied.stdout);
    assert!(denied.stdout.contains("job_workflow_ref still says"), "{}", denied.stdout);
    let without = ask(&["--without", "environment"]);
    assert!(without.stdout.contains("(missing)"), "{}", without.stdout);
    let veto = ask(&["--claim", "environment=production", "--claim", "event_name=pull_request_target"]);
    assert!(veto.stdout.contains("event_not_allowed") && veto.stdout.contains("veto"), "{}", veto.stdout);
}

#[test]
fn explains_cases_tokens_and_claims() {
    let folder = starter();
    assert_eq!(offline(&["policy", "explain", &folder, "--case", "main deploys to production"]).code, Some(0));
    assert_eq!(offline(&["policy", "explain", &folder, "--case", "a branch stays out"]).code, Some(1));
    assert_eq!(offline(&["policy", "explain", &folder, "--case", "no such case"]).code, Some(2));

    let job = Job::at_address("");
    std::fs::write(job.path("claims"), r#"{"iss":"https://gitlab.com","project_id":"1"}"#).expect("written");
    let claims = job.path("claims");
    let ran =
        Ran::of(&mut job.bare(&["--format", "json", "policy", "explain", &folder, "--claims", claims.to_str().expect("text")]));
    let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).expect("json");
    assert_eq!((&explanation["issuer"], &explanation["outcome"]), (&"gitlab".into(), &"deny".into()));

    // The token of the other tests names an issuer that nobody knows.
    let token = job.path("token");
    let unknown = Ran::of(&mut job.bare(&["policy", "explain", &folder, "--token", token.to_str().expect("text")]));
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("https://ci"), "{}", unknown.stderr);
}

#[test]
fn a_file_with_another_ending_is_named_where_the_set_lacks_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = folder.path().join("policies");
    for below in ["", "cases", "schema"] {
        std::fs::create_dir_all(set.join(below)).expect("made");
        for file in Path::new(&starter()).join(below).read_dir().expect("a folder") {
            let file = file.expect("a file");
            if file.path().is_file() {
                std::fs::copy(file.path(), set.join(below).join(file.file_name())).expect("copied");
            }
        }
    }
    let check = || offline(&["policy", "check", set.to_str().expect("text")]);
    assert_eq!(check().code, Some(0));
    std::fs::write(set.join("notes.md"), "No policy, though it speaks of `[role.x]`.\n").expect("written");
    std::fs::rename(set.join("shop.toml"), set.join("shop.tml")).expect("renamed");
    let ran = check();
    assert_eq!(ran.code, Some(1));
    let note = ran.stdout.lines().find(|line| line.starts_with("note: not read")).expect("a note");
    assert!(note.ends_with("/shop.tml") && !note.contains("notes.md") && !note.contains("policy.json"), "{note}");
    assert!(ran.stdout.matches("error[").count() <= 4, "{}", ran.stdout);
}

#[test]
fn the_name_that_was_meant_comes_before_what_is_true_of_any_token() {
    let folder = starter();
    let ran = offline(&["policy", "explain", &folder, "--issuer", "github", "--role", "shop-deploy-prd"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let told = ran.stdout.lines().nth(1).expect("a second line");
    assert!(told.starts_with("  near") && told.contains("did you mean `shop-deploy-prod`?"), "{}", ran.stdout);
    assert!(ran.stdout.contains("  hint"), "{}", ran.stdout);
}

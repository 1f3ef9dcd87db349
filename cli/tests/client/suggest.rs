//! What of a set is wider than its use.

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::run::{Job, Ran};
use crate::simulate::decisions;

const POLICY: &str = r#"# Whom we believe.
[issuer.github]
kind     = "github"
url      = "https://token.actions.githubusercontent.com"
audience = "https://daypass.example.com"

[[role.shop-deploy-prod.allow]]
issuer     = "github"
repository = "acme/shop"                      # by name
ref        = "refs/heads/main"
event_name = ["push", "workflow_dispatch"]    # by whom
waive      = { no-project-pin = "from before" }

[role.shop-deploy-prod.credential.registry]
engine = "kv"
path   = "shop/registry"
"#;

/// A job whose broker has seen twelve grants.
fn used() -> (Broker, Job) {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login"]).ok();
    std::fs::create_dir(job.path("set")).expect("made");
    std::fs::write(job.path("set/shop.toml"), POLICY).expect("written");
    (broker, job)
}

fn suggest(broker: &Broker, job: &Job, more: &[&str]) -> Ran {
    let granted = decisions().remove(0);
    let decisions: Vec<Value> = (0..12)
        .map(|run| {
            let mut granted = granted.clone();
            granted["claims"]["run_id"] = json!(run.to_string());
            granted
        })
        .collect();
    let page = json!({ "decisions": decisions, "since": "2026-10-23T00:00:00Z" });
    broker.once("GET /api/v1/decisions", 200, Vec::new(), page.to_string());
    let folder = job.path("set");
    Ran::of(&mut job.bare(&[&["policy", "suggest", folder.to_str().expect("text")], more].concat()))
}

fn text(job: &Job) -> String {
    std::fs::read_to_string(job.path("set/shop.toml")).expect("read")
}

#[test]
fn shows_the_change_and_writes_it_only_when_told() {
    let (broker, job) = used();
    let told = suggest(&broker, &job, &[]).ok();
    for expected in [
        "shop.toml:7",
        "event_name is wider than its use",
        "no token brought \"workflow_dispatch\"",
        "repository_id can be pinned",
        "+repository_id = \"637712\"",
        "-waive      = { no-project-pin = \"from before\" }",
        "+event_name = \"push\"    # by whom",
        "nothing was written: --write changes 1 file",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(text(&job), POLICY);
    assert!(suggest(&broker, &job, &["--write"]).ok().contains("1 file changed"));
    assert!(
        text(&job).contains("# Whom we believe.")
            && text(&job).contains("repository = \"acme/shop\"                      # by name")
    );
    let check = Ran::of(&mut job.bare(&["policy", "check", job.path("set").to_str().expect("text")]));
    assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
    assert!(suggest(&broker, &job, &[]).ok().contains("nothing to change"));
}

#[test]
fn tells_programs_the_same() {
    let (broker, job) = used();
    let json: Value = serde_json::from_str(&suggest(&broker, &job, &["--format", "json"]).ok()).expect("json");
    let about: Vec<&str> =
        json["suggestions"].as_array().expect("a list").iter().filter_map(|one| one["about"].as_str()).collect();
    assert_eq!(about, ["narrower", "pinned-id"]);
    assert!(json["patch"].as_str().expect("text").starts_with("--- a/shop.toml\n+++ b/shop.toml\n"));
    let few: Value = serde_json::from_str(&suggest(&broker, &job, &["--format", "json", "--least", "13"]).ok()).expect("json");
    assert_eq!(few["suggestions"].as_array().expect("a list").len(), 1, "the id of a name in a list needs no long use");
}

//! What was decided lately against a set on this machine.

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::policy::starter;
use crate::run::{Job, Ran};

/// A grant of the starter set, and a refusal of another branch.
pub(crate) fn decisions() -> Vec<Value> {
    let claims = |git_ref: &str| {
        json!({
            "iss": "https://token.actions.githubusercontent.com", "aud": "https://daypass.example.com",
            "sub": format!("repo:acme/shop:ref:{git_ref}"), "jti": "j", "repository": "acme/shop", "repository_id": "637712",
            "repository_owner": "acme", "repository_owner_id": "9919", "event_name": "push", "ref": git_ref, "run_id": "7",
            "run_attempt": "1", "runner_environment": "github-hosted", "environment": "production",
            "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
            "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
        })
    };
    let decision = |id: &str, kind: &str, git_ref: &str| {
        json!({
            "decision_id": id, "at": "2026-11-20T10:00:00Z", "kind": kind, "issuer": "github", "role": "shop-deploy-prod",
            "claims": claims(git_ref), "withheld": ["actor", "actor_id"], "project": "637712", "project_name": "acme/shop",
            "run_url": "https://github.com/acme/shop/actions/runs/7/attempts/1",
        })
    };
    let mut granted = decision("d-1", "exchange.granted", "refs/heads/main");
    granted["row"] = json!(0);
    let mut denied = decision("d-2", "exchange.denied", "refs/heads/stable");
    denied["code"] = json!("role_not_allowed");
    vec![granted, denied]
}

fn logged_in(broker: &Broker) -> Job {
    let job = Job::at(broker);
    job.run(&["login"]).ok();
    job
}

fn pages(broker: &Broker) {
    let [granted, denied] = <[Value; 2]>::try_from(decisions()).expect("two");
    let first = json!({ "decisions": [granted], "next": "r-1", "since": "2026-10-23T00:00:00Z",
        "only_counted": {"role_not_allowed": 12, "rate_limited": 4000} });
    let second = json!({ "decisions": [denied], "since": "2026-10-23T00:00:00Z" });
    for page in [first, second] {
        broker.once("GET /api/v1/decisions", 200, Vec::new(), page.to_string());
    }
}

/// A copy of the starter set that deploys from another branch.
fn stable(job: &Job) -> String {
    let folder = job.path("set");
    std::fs::create_dir_all(folder.join("cases")).expect("made");
    for name in ["issuers.toml", "shop.toml", "operators.toml", "internal.toml"] {
        let text = std::fs::read_to_string(format!("{}/{name}", starter())).expect("read");
        let text = text.replace(
            "ref                 = \"refs/heads/main\"\nevent_name          = [\"push\"",
            "ref = \"refs/heads/stable\"\nevent_name = [\"push\"",
        );
        std::fs::write(folder.join(name), text).expect("written");
    }
    folder.to_str().expect("text").to_owned()
}

#[test]
fn a_set_that_changes_nothing_ends_with_0() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    pages(&broker);
    let told = Ran::of(&mut job.bare(&["policy", "simulate", &starter()])).ok();
    assert!(told.contains("no change: 2 decisions would come out as they did"), "{told}");
    assert!(told.contains("12 denials were not recorded in full and were not looked at (12 role_not_allowed)"), "{told}");
    assert_eq!(
        broker.lines()[1..],
        ["GET /api/v1/decisions?days=30&limit=1000", "GET /api/v1/decisions?before=r-1&days=30&limit=1000"]
    );
}

#[test]
fn a_set_that_changes_something_ends_with_1_and_tells_which_jobs() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let folder = stable(&job);
    let simulate = |more: &[&str]| {
        pages(&broker);
        Ran::of(&mut job.bare(&[&["policy", "simulate", &folder, "--days", "7"], more].concat()))
    };
    let ran = simulate(&[]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    for told in [
        "newly denied: 1 decision",
        "newly allowed: 1 decision",
        "refs/heads/stable",
        "shop-deploy-prod: allow → role_not_allowed",
        "shop-deploy-prod: role_not_allowed → allow",
        "ref is \"refs/heads/main\" and should be \"refs/heads/stable\"",
        "https://github.com/acme/shop/actions/runs/7/attempts/1",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    let json: Value = serde_json::from_str(&simulate(&["--format", "json"]).stdout).expect("json");
    assert_eq!(json["newly_denied"][0]["ref"], "refs/heads/main");
    assert_eq!((&json["decisions"], &json["only_counted"]["role_not_allowed"]), (&json!(2), &json!(12)));
    let markdown = simulate(&["--format", "markdown"]).stdout;
    assert!(markdown.contains("**1 newly allowed**") && markdown.contains("| `refs/heads/stable` |"), "{markdown}");
}

#[test]
fn what_the_broker_refuses_is_told() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    broker.refuse_once("GET /api/v1/decisions", 403, "right_missing", Vec::new());
    let ran = Ran::of(&mut job.bare(&["policy", "simulate", &starter()]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("right_missing"), "{}", ran.stderr);
    let missing = Ran::of(&mut job.bare(&["policy", "simulate", "no-such-folder"]));
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
}

//! A first set, from a token and from GitHub.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::run::{Job, Ran, is_empty};
use crate::simulate::decisions;

/// A token with GitHub's claims; nobody checks its signature.
fn token(job: &Job, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = decisions().remove(0)["claims"].clone();
    for (claim, value) in [("ref_protected", "true"), ("ref_type", "branch"), ("repository_visibility", "private")] {
        claims[claim] = json!(value);
    }
    change(&mut claims);
    let path = job.path("ci-token");
    std::fs::write(&path, format!("h.{}.s\n", URL_SAFE_NO_PAD.encode(claims.to_string()))).expect("written");
    path.to_str().expect("text").to_owned()
}

fn init(job: &Job, folder: &str, more: &[&str]) -> Ran {
    let folder = job.path(folder);
    let words = [&["policy", "init", folder.to_str().expect("text")], more].concat();
    Ran::of(job.bare(&words).env_remove("DAYPASS_ADDR"))
}

fn check(job: &Job, folder: &str) -> Ran {
    Ran::of(&mut job.bare(&["policy", "check", job.path(folder).to_str().expect("text")]))
}

#[test]
fn a_token_makes_a_sound_set_that_is_never_put_over_another() {
    let job = Job::at_address("http://127.0.0.1:1");
    let token = token(&job, |_| {});
    let made = init(&job, "set", &["--from-token", &token, "--role", "ship"]);
    assert!(made.stderr.contains("daypass policy check"), "{}", made.stderr);
    assert!(made.ok().contains("ship.toml"));
    let sound = check(&job, "set");
    assert_eq!(sound.code, Some(0), "{}{}", sound.stdout, sound.stderr);
    let set = job.path("set");
    let tested = Ran::of(&mut job.bare(&["policy", "test", set.to_str().expect("text"), "--coverage", "--strict"]));
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);
    let text = std::fs::read_to_string(job.path("set/ship.toml")).expect("read");
    assert!(text.contains("repository_id       = \"637712\"") && text.contains("# acme/shop"), "{text}");
    let explained = Ran::of(&mut job.bare(&[
        "policy",
        "explain",
        job.path("set").to_str().expect("text"),
        "--token",
        &token,
        "--role",
        "ship",
    ]));
    assert_eq!(explained.code, Some(0), "{}{}", explained.stdout, explained.stderr);

    let again = init(&job, "set", &["--from-token", &token]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    std::fs::create_dir(job.path("empty")).expect("made");
    assert_eq!(init(&job, "empty", &["--from-token", &token]).code, Some(2));
    assert!(is_empty(&job.path("empty")));
}

#[test]
fn a_token_that_should_stay_out_makes_nothing() {
    let job = Job::at_address("http://127.0.0.1:1");
    let pull = token(&job, |claims| claims["event_name"] = json!("pull_request_target"));
    let ran = init(&job, "set", &["--from-token", &pull]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("pull-request-target") && !job.path("set").exists(), "{}", ran.stderr);
    let outside = token(&job, |_| {});
    let ran = init(&job, "set", &["--from-token", &outside, "--role", "../../escape"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("cannot name a role") && ran.stderr.contains("lower-case letters"), "{}", ran.stderr);
    assert!(!job.path("set").exists());
    assert_eq!(init(&job, "set", &[]).code, Some(2), "it needs something to start from");
}

#[test]
fn github_is_asked_for_the_ids() {
    let github = Broker::start();
    let job = Job::at_address("http://127.0.0.1:1");
    let answer = json!({ "id": 77, "full_name": "Acme/Shop", "default_branch": "trunk", "owner": {"id": 9, "login": "Acme"}, "private": true });
    let ask = |more: &[&str]| init(&job, "set", &[&["--github", "acme/shop", "--github-api", &github.address], more].concat());
    let nobody = ask(&[]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.stderr.contains("--audience") && github.lines().is_empty(), "{}", nobody.stderr);

    github.once("GET /repos/acme/shop", 404, Vec::new(), json!({"message": "Not Found"}).to_string());
    let unknown = ask(&["--audience", "https://broker.test"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("GITHUB_TOKEN"), "{}", unknown.stderr);
    assert!(!github.asked()[0].headers.contains_key("authorization"));

    github.once("GET /repos/acme/shop", 200, Vec::new(), answer.to_string());
    let folder = job.path("set");
    let words = [
        "--format",
        "json",
        "policy",
        "init",
        folder.to_str().expect("text"),
        "--github",
        "acme/shop",
        "--audience",
        "https://broker.test",
    ];
    let made = Ran::of(job.bare(&words).env("GITHUB_TOKEN", "ghp-canary").env("GITHUB_API_URL", &github.address));
    let told: Value = serde_json::from_str(&made.ok()).expect("json");
    assert_eq!(told["role"], "shop-deploy");
    assert_eq!(github.asked()[1].headers["authorization"], "Bearer ghp-canary");
    let sound = check(&job, "set");
    assert_eq!(sound.code, Some(0), "{}{}", sound.stdout, sound.stderr);
    let text = std::fs::read_to_string(job.path("set/shop-deploy.toml")).expect("read");
    assert!(
        text.contains("repository_id       = \"77\"") && text.contains("Acme/Shop/.github/workflows/*@refs/heads/trunk"),
        "{text}"
    );
    for bad in ["acme", "acme/..", "acme/shop/x", "acme/sh?p", "/shop"] {
        let ran = init(&job, "other", &["--github", bad, "--github-api", &github.address, "--audience", "https://b.test"]);
        assert_eq!(ran.code, Some(2), "{bad}");
    }
    assert_eq!(github.lines().len(), 2);
}

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::run::{Job, Ran};

const HASH: &str = "3f2a91c07d113f2a91c07d113f2a91c07d113f2a91c07d113f2a91c07d113f2a";

fn job(broker: &Broker) -> Job {
    let job = Job::at(broker);
    job.run(&["login"]).ok();
    job
}

fn pushed(outcome: &str) -> String {
    json!({"hash": HASH, "outcome": outcome, "was": "00".repeat(32), "adds": ["role a is new"], "needs_approval": false})
        .to_string()
}

fn asked(broker: &Broker) -> (String, Value) {
    let asked = broker.asked().pop().expect("asked");
    (format!("{} {}", asked.method, asked.target), serde_json::from_str(&asked.body).unwrap_or_default())
}

#[test]
fn a_whole_folder_is_sent_with_its_terms() {
    let broker = Broker::start();
    let job = job(&broker);
    let folder = job.path("set");
    std::fs::create_dir_all(folder.join("cases")).expect("made");
    std::fs::write(folder.join("roles.toml"), "x = 1").expect("written");
    std::fs::write(folder.join("cases/a.toml"), "y = 1").expect("written");
    std::fs::write(folder.join("notes.md"), "no part of it").expect("written");
    let folder = folder.to_str().expect("text").to_owned();
    broker.once("POST /api/v1/policies", 200, Vec::new(), pushed("proposed"));
    let ran = Ran::of(&mut job.bare(&["policy", "apply", &folder, "--from", "0011223344"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("waits for a second operator") && ran.stdout.contains("role a is new"), "{}", ran.stdout);
    assert!(ran.stderr.contains(&format!("daypass policy approve {HASH}")), "{}", ran.stderr);
    let (line, body) = asked(&broker);
    assert_eq!(line, "POST /api/v1/policies");
    assert_eq!(body["files"], json!([{"path": "cases/a.toml", "text": "y = 1"}, {"path": "roles.toml", "text": "x = 1"}]));
    assert_eq!(body["terms"], json!({"from": "0011223344", "dry_run": false, "lock_out": false}));

    broker.refuse_once("POST /api/v1/policies", 400, "policy_unsound", Vec::new());
    let refused = Ran::of(&mut job.bare(&["policy", "apply", &folder]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("policy_unsound") && refused.stderr.contains("a hint"), "{}", refused.stderr);
    broker.once("POST /api/v1/policies", 200, Vec::new(), pushed("shadowed"));
    Ran::of(&mut job.bare(&["policy", "apply", &folder, "--shadow"])).ok();
    assert_eq!(asked(&broker).1["shadow"], json!(true));
}

#[test]
fn sets_are_listed_shown_rolled_back_approved_and_withdrawn() {
    let broker = Broker::start();
    let job = job(&broker);
    let author = json!({"name": "github repo:acme/platform\u{1b}[2J", "session_id": "s-1"});
    let list = json!({"active": HASH, "source": "database", "shadow": null,
        "proposals": [{"hash": "8c".repeat(32), "author": author, "at": "2026-01-01T00:00:00Z", "reason": "role a is new", "stale": true}],
        "activations": [{"hash": HASH, "at": "2026-01-01T00:00:00Z", "source": "operator", "author": author}]});
    broker.once("GET /api/v1/policies", 200, Vec::new(), list.to_string());
    let table = Ran::of(&mut job.bare(&["--color", "never", "policy", "list"])).ok();
    assert!(table.contains("8c8c8c8c8c8c") && table.contains("another set is active since"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("3f2a91c07d11") && line.contains("active")), "{table}");
    assert!(!table.contains('\u{1b}'), "a name writes nothing on the terminal");
    let set = json!({"hash": HASH, "active": true, "stored_at": "2026-01-01T00:00:00Z", "activations": [],
        "files": [{"path": "roles.toml", "text": "x = 1\ny = \"\u{1b}[2J\"\n"}]});
    broker.once("GET /api/v1/policies/3f2a91c0", 200, Vec::new(), set.to_string());
    let shown = Ran::of(&mut job.bare(&["--color", "never", "policy", "show", "3f2a91c0", "--files"])).ok();
    assert!(shown.contains("# roles.toml\nx = 1\n") && !shown.contains('\u{1b}'), "{shown}");
    for (words, line) in [
        (["policy", "rollback", "3f2a91c0"], "POST /api/v1/policies/3f2a91c0/activate"),
        (["policy", "approve", "3f2a91c0"], "POST /api/v1/policies/3f2a91c0/approve"),
    ] {
        broker.once(line, 200, Vec::new(), pushed("activated"));
        assert!(Ran::of(&mut job.bare(&words)).ok().contains("active on every replica"));
        assert_eq!(asked(&broker).0, line);
    }
    let gone = json!({"hash": "8c".repeat(32), "author": author, "proposed_at": "2026-01-01T00:00:00Z", "reason": "role a is new",
        "by": {"name": "github repo:acme/other", "session_id": "s-2"}, "at": "2026-01-02T00:00:00Z"});
    let withdraw = "POST /api/v1/policies/8c8c8c8c/withdraw";
    broker.once(withdraw, 200, Vec::new(), gone.to_string());
    let told = Ran::of(&mut job.bare(&["policy", "withdraw", "8c8c8c8c"])).ok();
    assert!(told.contains("nobody can approve it any more") && !told.contains('\u{1b}'), "{told}");
    assert_eq!(asked(&broker).0, withdraw);
    let list = json!({"active": HASH, "source": "database", "proposals": [], "withdrawn": [gone], "activations": []});
    broker.once("GET /api/v1/policies", 200, Vec::new(), list.to_string());
    let table = Ran::of(&mut job.bare(&["--color", "never", "policy", "list"])).ok();
    assert!(table.contains("withdrawn by github repo:acme/other"), "{table}");
    let set = json!({"hash": "8c".repeat(32), "active": false, "stored_at": "2026-01-01T00:00:00Z", "withdrawn": [gone],
        "activations": [], "files": []});
    broker.once("GET /api/v1/policies/8c8c8c8c", 200, Vec::new(), set.to_string());
    let shown = Ran::of(&mut job.bare(&["--color", "never", "policy", "show", "8c8c8c8c"])).ok();
    assert!(shown.contains("withdrawn by github repo:acme/other: role a is new"), "{shown}");
}

#[test]
fn issuers_and_roles_are_switched_by_name_and_with_a_reason() {
    let broker = Broker::start();
    let job = job(&broker);
    let state = json!({"issuers": [{"name": "github", "kind": "github", "url": "https://x", "enabled": true}],
        "roles": [{"name": "shop", "issuers": ["github"], "shadow": false,
            "disabled": {"since": "2026-01-01T00:00:00Z", "reason": "a leak"}}]});
    broker.once("POST /api/v1/operator/switches", 200, Vec::new(), state.to_string());
    let shown = Ran::of(&mut job.bare(&["role", "disable", "shop", "--reason", "a leak"])).ok();
    assert!(shown.contains("disabled") && shown.contains("a leak") && !shown.contains("https://x"), "{shown}");
    assert_eq!(asked(&broker).1, json!({"role": "shop", "disabled": true, "reason": "a leak", "lock_out": false}));
    broker.once("POST /api/v1/operator/switches", 200, Vec::new(), state.to_string());
    Ran::of(&mut job.bare(&["issuer", "enable", "github"])).ok();
    assert_eq!(asked(&broker).1, json!({"issuer": "github", "disabled": false, "reason": "", "lock_out": false}));
    assert_eq!(Ran::of(&mut job.bare(&["role", "disable", "shop"])).code, Some(2), "without a reason");
}

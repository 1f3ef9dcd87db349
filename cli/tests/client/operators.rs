use std::io::Write;
use std::process::Stdio;

use crate::broker::{Broker, REGISTRY, SESSION};
use crate::run::{Job, Ran};

fn logged_in(broker: &Broker) -> Job {
    let job = Job::at(broker);
    job.run(&["login"]).ok();
    job
}

#[test]
fn secrets_are_written_from_standard_input_or_a_file() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let mut put = job
        .bare(&["secret", "put", "secret/shop/registry", "--cas", "2", "--metadata", "owner=shop"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    put.stdin.take().expect("piped").write_all(br#"{"password":"new"}"#).expect("written");
    let ran = Ran::from(put.wait_with_output().expect("ended"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let asked = broker.asked().pop().expect("asked");
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PUT", "/api/v1/secrets/secret/shop/registry"));
    assert_eq!(asked.headers["authorization"], format!("Bearer {SESSION}"));
    let body: serde_json::Value = serde_json::from_str(&asked.body).expect("json");
    assert_eq!(body, serde_json::json!({"data": {"password": "new"}, "cas": 2, "metadata": {"owner": "shop"}}));

    std::fs::write(job.path("secret.json"), "[\"canary-value\"]").expect("written");
    let file = job.path("secret.json");
    let wrong = job.run(&["secret", "put", "secret/x", "--file", file.to_str().expect("text")]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("not a JSON object") && !wrong.stderr.contains("canary-value"), "{}", wrong.stderr);
}

#[test]
fn secrets_are_read_listed_rolled_back_and_deleted() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let said = |words: &[&str]| Ran::of(&mut job.bare(words)).ok();
    assert_eq!(said(&["secret", "get", "secret/shop/registry", "--field", "password"]), format!("{REGISTRY}\n"));
    assert!(said(&["secret", "get", "secret/shop/registry", "--version", "2"]).contains("5000"));
    assert_eq!(said(&["secret", "list", "secret/shop"]), "PATH\nregistry\neu/\n");
    let history = said(&["secret", "history", "secret/shop/registry"]);
    assert!(history.contains("current") && history.contains("destroyed") && history.contains("owner"), "{history}");
    said(&["secret", "rollback", "secret/shop/registry", "--to", "1"]);
    said(&["secret", "delete", "secret/shop/registry"]);
    said(&["secret", "delete", "secret/shop/registry", "--versions", "1,2", "--destroy"]);
    let path = "/api/v1/secrets/secret/shop/registry";
    assert_eq!(
        broker.lines()[1..],
        [
            format!("GET {path}"),
            format!("GET {path}?version=2"),
            "GET /api/v1/secrets/secret/shop?list=true".to_owned(),
            format!("GET {path}?history=true"),
            format!("POST {path}?rollback=1"),
            format!("DELETE {path}"),
            format!("DELETE {path}?versions=1%2C2&destroy=true"),
        ]
    );
}

#[test]
fn audit_records_cannot_write_on_the_terminal() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let table = Ran::of(&mut job.bare(&["audit", "list", "--code", "role_not_allowed", "--limit", "5"])).ok();
    assert!(table.contains("exchange.denied") && table.contains("o/r") && table.contains("01-01 00:00:00"), "{table}");
    assert_eq!(broker.lines().last().map(String::as_str), Some("GET /api/v1/audit?code=role_not_allowed&limit=5"));
    let more = Ran::of(&mut job.bare(&["audit", "list", "--limit", "1"]));
    assert!(more.stderr.contains("more: --before r-1"), "{}", more.stderr);
    broker.once(
        "GET /api/v1/audit",
        200,
        Vec::new(),
        serde_json::json!({"records": [{"id": "r", "at": "2026-01-01T00:00:00Z", "kind": "k", "leaf": "", "fields": {"project": "\u{1b}[2Jx"}}]}).to_string(),
    );
    assert!(!Ran::of(&mut job.bare(&["--color", "always", "audit", "list"])).ok().contains("\u{1b}[2J"));
    let json = Ran::of(&mut job.bare(&["--format", "json", "audit", "list"])).ok();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).expect("json")["records"][0]["fields"]["code"],
        "role_not_allowed"
    );
}

#[test]
fn operators_verbs_need_their_address() {
    let broker = Broker::start();
    let ran = Ran::of(logged_in(&broker).bare(&["audit", "list"]).env_remove("DAYPASS_OPERATOR_ADDR"));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("DAYPASS_OPERATOR_ADDR"), "{}", ran.stderr);
}

#[test]
fn a_recorded_decision_is_explained_as_an_offline_one() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let folder = crate::policy::starter();
    let ask = ["--format", "json", "policy", "explain", &folder, "--issuer", "github", "--role", "shop-deploy-prod"];
    let explanation = Ran::of(&mut job.bare(&ask)).stdout.replacen(
        '{',
        r#"{"recorded": {"kind": "exchange.denied", "at": "2026-01-01T00:00:00Z", "code": "rate_limited"},"#,
        1,
    );
    broker.once("GET /api/v1/explain/decision-7", 200, Vec::new(), explanation.clone());
    let told = Ran::of(&mut job.bare(&["audit", "explain", "decision-7"])).ok();
    assert!(told.starts_with("recorded exchange.denied rate_limited") && told.contains("says otherwise"), "{told}");
    assert!(told.contains("\ndeny role_not_allowed") && told.contains("no  environment"), "{told}");
    broker.once("GET /api/v1/explain/decision-7", 200, Vec::new(), explanation.clone());
    let asked = Ran::of(&mut job.bare(&["policy", "explain", "--decision", "decision-7"]));
    assert_eq!((asked.code, asked.stdout), (Some(1), told), "{}", asked.stderr);
    broker.once("GET /api/v1/explain/decision-7", 200, Vec::new(), explanation.clone());
    let json = Ran::of(&mut job.bare(&["--format", "json", "audit", "explain", "decision-7"])).ok();
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("json");
    assert_eq!(parse(&json), parse(&explanation));
}

/// What an incident needs first is that it is stopped, and by which id.
#[test]
fn a_kill_is_told_before_its_list_and_outlives_a_list_that_fails() {
    let broker = Broker::start();
    let job = logged_in(&broker);
    let stop = serde_json::json!({"id": "s-1", "filter": {"role": "shop"}, "reason": "r", "created_at": "2026-01-01T00:00:00Z"});
    let killed = serde_json::json!({"stop": stop, "sessions_ended": 2, "leases_asked": 3}).to_string();
    let progress = serde_json::json!({"total": 3, "revoked": 3, "going": 0, "failing": 0, "irrevocable": 0,
        "reasons": [], "living_on": []});
    for (format, whole) in [("text", false), ("json", true)] {
        broker.once("POST /api/v1/operator/stops", 200, Vec::new(), killed.clone());
        broker.once("GET /api/v1/operator/revocations/s-1", 200, Vec::new(), progress.to_string());
        broker.refuse_once("POST /api/v1/operator/given", 503, "unavailable", Vec::new());
        let ran = Ran::of(&mut job.bare(&["--format", format, "kill", "--role", "shop"]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("daypass kill --lift s-1") && ran.stderr.contains("could not be listed"), "{}", ran.stderr);
        assert!(ran.stdout.contains("s-1"), "{}", ran.stdout);
        if whole {
            let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
            assert_eq!((&told["stop"]["id"], &told["given"]), (&"s-1".into(), &serde_json::Value::Null));
        }
    }
    // A broker that is gone right after the stop.
    broker.once("POST /api/v1/operator/stops", 200, Vec::new(), killed);
    broker.refuse_once("GET /api/v1/operator/revocations/s-1", 403, "right_missing", Vec::new());
    let ran = Ran::of(&mut job.bare(&["kill", "--role", "shop"]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("s-1") && ran.stderr.contains("daypass kill --lift s-1"), "{}{}", ran.stdout, ran.stderr);
}

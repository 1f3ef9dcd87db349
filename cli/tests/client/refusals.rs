use crate::broker::{Broker, TOKEN, nobody};
use crate::run::{Job, Ran};

#[test]
fn a_refusal_says_all_that_helps_and_is_not_tried_again() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 403, "role_not_allowed", vec![("retry-after", "1".to_owned())]);
    let ran = Job::at(&broker).run(&["exec", "--", "echo", "started"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    for part in [
        "role_not_allowed",
        "The sentence.",
        "The remedy.",
        "a hint",
        "decision-7",
        "1970-01-01T00:02:40Z",
        "60 s earlier",
        "iss https://ci",
        "sub repo:o/r",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains(TOKEN) && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    assert_eq!(broker.lines(), ["POST /api/v1/exchange"]);
}

#[test]
fn claims_are_shown_only_where_that_is_wanted() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 403, "role_not_allowed", Vec::new());
    let ran = Job::at(&broker).run(&["login", "--show-claims", "none"]);
    assert_eq!(ran.code, Some(1));
    assert!(!ran.stderr.contains("repo:o/r"), "{}", ran.stderr);
}

#[test]
fn programs_read_a_refusal_as_json() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 403, "role_not_allowed", Vec::new());
    let ran = Job::at(&broker).run(&["--format", "json", "login"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).expect("json");
    assert_eq!(error["error"]["problem"]["code"], "role_not_allowed");
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&"refused".into(), &1.into()));
}

#[test]
fn a_busy_broker_is_asked_again_with_the_same_key() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 503, "overloaded", vec![("retry-after", "1".to_owned())]);
    broker.refuse_once("POST /api/v1/exchange", 409, "in_progress", vec![("retry-after", "1".to_owned())]);
    Job::at(&broker).run(&["exec", "--", "true"]).ok();
    let keys: Vec<String> = broker.asked().iter().filter_map(|asked| asked.headers.get("idempotency-key").cloned()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 429, "rate_limited", vec![("retry-after", "3600".to_owned())]);
    let ran = Job::at(&broker).run(&["login"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("rate_limited"), "{}", ran.stderr);
}

#[test]
fn missing_settings_name_their_fix() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let no_address = Ran::of(job.daypass(&["login"]).env_remove("DAYPASS_ADDR"));
    assert_eq!(no_address.code, Some(2));
    assert!(no_address.stderr.contains("DAYPASS_ADDR"), "{}", no_address.stderr);

    let plain = Ran::of(job.daypass(&["login"]).env("DAYPASS_ADDR", "http://broker.example"));
    assert_eq!(plain.code, Some(2));
    assert!(plain.stderr.contains("not https"), "{}", plain.stderr);

    let github = Ran::of(job.bare(&["login"]).env("GITHUB_ACTIONS", "true"));
    assert_eq!(github.code, Some(2));
    assert!(github.stderr.contains("permissions: id-token: write"), "{}", github.stderr);

    let gitlab = Ran::of(job.bare(&["login"]).env("GITLAB_CI", "true"));
    assert_eq!(gitlab.code, Some(2));
    assert!(
        gitlab.stderr.contains("id_tokens:") && gitlab.stderr.contains(&format!("aud: {}", broker.address)),
        "{}",
        gitlab.stderr
    );

    let nothing = Ran::of(&mut job.bare(&["exec"]));
    assert_eq!(nothing.code, Some(2));
    assert_eq!(broker.lines(), Vec::<String>::new());
}

#[test]
fn garbage_is_not_taken_for_an_answer() {
    let broker = Broker::start();
    broker.once("POST /api/v1/exchange", 200, Vec::new(), r#"{"session":{"token":"dps_leak"}}"#.to_owned());
    let ran = Job::at(&broker).run(&["login"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("something else than expected") && !ran.stderr.contains("dps_leak"), "{}", ran.stderr);

    broker.once("POST /api/v1/exchange", 302, vec![("location", format!("{}/api/v1/exchange", nobody()))], String::new());
    let redirected = Job::at(&broker).run(&["login"]);
    assert_eq!(redirected.code, Some(3), "redirects are not followed");
}

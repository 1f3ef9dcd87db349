use std::collections::BTreeMap;
use std::time::Duration;

use crate::broker::{Broker, PASSWORD, REGISTRY, SESSION, TOKEN, granted, problem};
use crate::run::{Job, Ran};

/// What the command sees, as `env -0` prints it.
fn environment(stdout: &str) -> BTreeMap<String, String> {
    stdout
        .split('\0')
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn gives_credentials_to_the_command_only_and_releases_them() {
    let broker = Broker::start();
    let ran = Job::at(&broker).run(&["exec", "--role", "shop-deploy", "--", "env", "-0"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let seen = environment(&ran.stdout);
    for (name, value) in [
        ("PGUSER", "lease_u1"),
        ("PGPASSWORD", PASSWORD),
        ("PGHOST", "db.internal"),
        ("PGPORT", "5432"),
        ("PGDATABASE", "shop"),
        ("DATABASE_URL", "postgres://lease_u1:p%26ss@db.internal:5432/shop"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "aws-secret-key"),
        ("AWS_SESSION_TOKEN", "aws-session-token"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("REGISTRY_PASSWORD", REGISTRY),
        ("DAYPASS_DB_PASSWORD", PASSWORD),
        ("DAYPASS_REGISTRY_USER", "robot-account"),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(ran.stderr, "", "nothing is said about a run that went well");
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "DELETE /api/v1/session"]);
    let asked = broker.asked();
    assert!(asked[0].headers.contains_key("idempotency-key"));
    assert!(asked[0].body.contains(TOKEN) && asked[0].body.contains("shop-deploy"));
    assert_eq!(asked[1].headers["authorization"], format!("Bearer {SESSION}"));
}

#[test]
fn passes_the_exit_code_on_and_releases_on_every_path() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    assert_eq!(job.run(&["exec", "--", "sh", "-c", "exit 42"]).code, Some(42));
    assert_eq!(job.run(&["exec", "--", "sh", "-c", "kill -KILL $$"]).code, Some(128 + 9));
    let missing = job.run(&["exec", "--", "no-such-program-anywhere"]);
    assert_eq!(missing.code, Some(127));
    assert!(missing.stderr.contains("no-such-program-anywhere"), "{}", missing.stderr);
    assert_eq!(job.run(&["exec", "--", "/"]).code, Some(126));
    assert_eq!(broker.lines().iter().filter(|line| *line == "DELETE /api/v1/session").count(), 4);
}

#[test]
fn keeps_tokens_and_outer_credentials_from_the_command() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let given = [
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.example"),
        ("DAYPASS_ID_TOKEN", TOKEN),
        ("CI_JOB_JWT_V2", TOKEN),
        ("DAYPASS_OUTER_PASSWORD", "outer"),
        ("MY_TOKEN", TOKEN),
        ("HARMLESS", "1"),
    ];
    let seen = |words: &[&str]| environment(&Ran::of(job.bare(words).envs(given)).ok());
    let kept: Vec<String> = seen(&["exec", "--token-env", "MY_TOKEN", "-C", "registry", "--", "env", "-0"])
        .into_keys()
        .filter(|name| given.iter().any(|(given, _)| given == name))
        .collect();
    assert_eq!(kept, ["HARMLESS"]);
    let all = seen(&["exec", "--token-env", "MY_TOKEN", "--keep-ci-token", "--", "env", "-0"]);
    assert!(given.iter().all(|(name, value)| all.get(*name).map(String::as_str) == Some(*value)));
}

#[test]
fn asks_for_the_named_credentials_and_time() {
    let broker = Broker::start();
    let seen = environment(&Job::at(&broker).run(&["exec", "-C", "registry", "--ttl", "5m", "--", "env", "-0"]).ok());
    assert!(seen.contains_key("REGISTRY_PASSWORD") && !seen.contains_key("PGPASSWORD"));
    assert!(broker.asked()[0].body.contains(r#""credentials":["registry"],"ttl":"5m""#), "{}", broker.asked()[0].body);
}

#[test]
fn files_live_in_memory_as_long_as_the_command() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let script =
        "set -e; stat -c '%a %n' \"$PGPASSFILE\" \"$(dirname \"$PGPASSFILE\")\"; cat \"$DAYPASS_DB_PASSWORD_FILE\"; env -0";
    let out = job.run(&["exec", "--files", "--", "sh", "-c", script]).ok();
    let mut lines = out.lines();
    let (mode, file) = lines.next().expect("a line").split_once(' ').expect("mode and name");
    let (folder_mode, folder) = lines.next().expect("a line").split_once(' ').expect("mode and name");
    assert_eq!((mode, folder_mode), ("600", "700"));
    assert!(!std::path::Path::new(file).exists() && !std::path::Path::new(folder).exists());
    let rest: String = lines.collect::<Vec<_>>().join("\n");
    let seen = environment(rest.strip_prefix(PASSWORD).expect("the password's file"));
    assert_eq!(seen["PGUSER"], "lease_u1");
    assert!(
        seen.values().all(|value| value != PASSWORD
            && value != REGISTRY
            && value != "aws-secret-key"
            && !value.starts_with("postgres://"))
    );
}

#[test]
fn files_are_not_overruled_by_what_the_job_had() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let had = [("AWS_ACCESS_KEY_ID", "AKIAOLD"), ("PGPASSWORD", "old"), ("OTHER", "kept"), ("PGPASSFILE", "old")];
    let seen = environment(&Ran::of(job.daypass(&["exec", "--files", "--", "env", "-0"]).envs(had)).ok());
    assert_eq!(seen["OTHER"], "kept");
    assert!(!seen.contains_key("AWS_ACCESS_KEY_ID") && !seen.contains_key("PGPASSWORD"));
    assert_ne!(seen["PGPASSFILE"], "old");
}

#[test]
fn what_programs_would_prefer_is_not_inherited() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let rivals = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/x"), ("AWS_ROLE_ARN", "arn"), ("PGSERVICE", "prod"), ("PGHOSTADDR", "::1")];
    for mode in [&["exec", "--"][..], &["exec", "--files", "--"]] {
        let seen = environment(&Ran::of(job.daypass(&[mode, &["env", "-0"]].concat()).envs(rivals)).ok());
        assert!(rivals.iter().all(|(name, _)| !seen.contains_key(*name)), "{mode:?}: {seen:?}");
    }
    let prefixed = environment(&Ran::of(job.daypass(&["exec", "--prefix", "--", "env", "-0"]).envs(rivals)).ok());
    assert_eq!(prefixed["PGSERVICE"], "prod");
    let exports = Ran::of(job.daypass(&["env"]).env("PGSERVICE", "prod").env("PGSERVICEFILE", "/x")).ok();
    assert!(exports.starts_with("unset PGSERVICE PGSERVICEFILE\n"), "{exports}");
}

#[test]
fn the_command_leaves_no_core_dump() {
    let broker = Broker::start();
    assert_eq!(Job::at(&broker).run(&["exec", "--", "sh", "-c", "ulimit -Hc"]).ok(), "0\n");
}

#[test]
fn hides_credentials_in_what_the_command_prints() {
    let broker = Broker::start();
    let script = r#"printf 'a %s' "$(printf %s "$REGISTRY_PASSWORD" | cut -c1-5)"; sleep 0.2; printf %s "$REGISTRY_PASSWORD" | cut -c6-
        printf %s "u:$REGISTRY_PASSWORD" | base64; echo "$PGPASSWORD at $PGHOST" >&2; echo "$DATABASE_URL"; exit 3"#;
    let ran = Job::at(&broker).run(&["exec", "--mask", "--", "sh", "-c", script]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stdout.starts_with("a ***\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\n***\n"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "*** at db.internal\n");
}

#[test]
fn does_not_wait_for_what_the_command_left_behind() {
    let broker = Broker::start();
    let started = std::time::Instant::now();
    let ran = Job::at(&broker).run(&["exec", "--mask", "--", "sh", "-c", "sleep 30 & echo done"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"));
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_failed_release_is_a_warning_that_says_until_when() {
    let broker = Broker::start();
    broker.refuse_once("DELETE /api/v1/session", 403, "right_missing", Vec::new());
    let ran = Job::at(&broker).run(&["exec", "-C", "db", "--", "sh", "-c", "exit 5"]);
    assert_eq!(ran.code, Some(5), "the command's own end counts");
    assert!(ran.stderr.contains("warning:") && ran.stderr.contains("ends by itself at 2026-01-01T00:15:00Z"), "{}", ran.stderr);
}

#[test]
fn what_has_ended_already_needs_no_release() {
    let broker = Broker::start();
    broker.once("DELETE /api/v1/session", 401, Vec::new(), problem(401, "session_unknown"));
    let ran = Job::at(&broker).run(&["exec", "--", "true"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn within_a_login_only_its_own_leases_are_released() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login"]).ok();
    let before = broker.lines().len();
    let seen = environment(&Ran::of(&mut job.bare(&["exec", "-C", "db", "--", "env", "-0"])).ok());
    assert_eq!(seen["PGPASSWORD"], PASSWORD);
    assert_eq!(broker.lines()[before..], ["POST /api/v1/session/credentials", "DELETE /api/v1/leases/lease-db"]);
}

#[test]
fn leases_are_given_back_side_by_side() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login"]).ok();
    let mut granted = granted("shop-deploy", &["db".to_owned()], None);
    for name in ["db-2", "db-3", "db-4"] {
        let mut another = granted["credentials"]["db"].clone();
        another["lease_id"] = format!("lease-{name}").into();
        broker.slow(&format!("DELETE /api/v1/leases/lease-{name}"), Duration::from_secs(4));
        granted["credentials"][name] = another;
    }
    broker.once("POST /api/v1/session/credentials", 200, Vec::new(), granted.to_string());
    let started = std::time::Instant::now();
    Ran::of(&mut job.bare(&["exec", "--", "true"])).ok();
    assert!(started.elapsed() < Duration::from_secs(11), "{:?}", started.elapsed());
    assert_eq!(broker.lines().iter().filter(|line| line.starts_with("DELETE /api/v1/leases/")).count(), 4);
}

#[test]
fn github_is_told_to_hide_what_was_issued() {
    let broker = Broker::start();
    let ran = Ran::of(Job::at(&broker).daypass(&["exec", "-C", "registry", "--", "true"]).env("GITHUB_ACTIONS", "true"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for hidden in [REGISTRY, SESSION, "robot-account"] {
        assert!(ran.stderr.contains(&format!("::add-mask::{hidden}\n")), "{hidden}: {}", ran.stderr);
    }
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_github_job_needs_nothing_but_its_permission() {
    let broker = Broker::start();
    broker.once("GET /token", 200, Vec::new(), serde_json::json!({ "value": TOKEN }).to_string());
    let job = Job::at(&broker);
    let ran = Ran::of(
        job.bare(&["exec", "-C", "registry", "--", "env", "-0"])
            .env("GITHUB_ACTIONS", "true")
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2.0", broker.address))
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-token"),
    );
    assert!(ran.stderr.contains(&format!("::add-mask::{TOKEN}\n")), "{}", ran.stderr);
    let seen = environment(&ran.ok());
    assert_eq!(seen["REGISTRY_PASSWORD"], REGISTRY);
    assert!(seen.values().all(|value| value != "runner-token" && value != TOKEN));
    let audience = broker.address.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(broker.lines()[0], format!("GET /token?api-version=2.0&audience={audience}"));
    assert_eq!(broker.asked()[0].headers["authorization"], "bearer runner-token");
}

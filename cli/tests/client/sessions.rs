use std::process::Command;

use crate::broker::{Broker, PASSWORD, REGISTRY, SESSION, problem};
use crate::run::{Job, Ran, is_empty};

#[test]
fn a_login_serves_later_commands_until_it_is_released() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let login = job.run(&["login", "--role", "shop-deploy"]);
    assert!(!login.stdout.contains(SESSION) && !login.stderr.contains(SESSION));
    assert!(login.ok().contains("shop-deploy"));
    assert_eq!(broker.lines(), ["POST /api/v1/exchange"], "nothing is made, so nothing is given back");
    assert!(broker.asked()[0].body.contains(r#""session_only":true"#), "{}", broker.asked()[0].body);

    // No address and no token any more: the kept session knows the one and needs not the other.
    let bare = |words: &[&str]| Ran::of(job.bare(words).env_remove("DAYPASS_ADDR")).ok();
    assert!(bare(&["whoami"]).contains("o/r"));
    assert_eq!(bare(&["read", "registry.password"]), format!("{REGISTRY}\n"));
    assert_eq!(bare(&["read", "-n", "db.password"]), PASSWORD);
    let leases = bare(&["lease", "list"]);
    assert!(leases.contains("lease-db") && leases.contains("active"), "{leases}");
    assert!(bare(&["lease", "release", "lease-db"]).contains("revoking"));
    bare(&["logout"]);
    assert_eq!(broker.lines().last().map(String::as_str), Some("DELETE /api/v1/session"));
    let after = Ran::of(&mut job.bare(&["whoami"]));
    assert_eq!(after.code, Some(2));
    assert!(after.stderr.contains("daypass login"), "{}", after.stderr);
}

#[test]
fn a_token_that_is_only_offered_does_not_replace_a_session() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login"]).ok();
    job.run(&["read", "registry.user"]).ok();
    assert_eq!(broker.lines().last().map(String::as_str), Some("POST /api/v1/session/credentials"));
    job.run(&["read", "registry.user", "--token-file", job.path("token").to_str().expect("text")]).ok();
    job.run(&["read", "registry.user", "--role", "another"]).ok();
    assert_eq!(broker.lines().iter().filter(|line| *line == "POST /api/v1/exchange").count(), 3);
}

#[test]
fn a_spent_token_is_answered_with_the_way_to_need_only_one() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 401, "token_already_used", Vec::new());
    let ran = Job::at(&broker).run(&["exec", "--", "true"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("daypass login"), "{}", ran.stderr);
}

#[test]
fn a_session_serves_no_job_but_its_own() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let in_job = |id: &str, words: &[&str]| Ran::of(job.daypass(words).env("GITLAB_CI", "true").env("CI_JOB_ID", id));
    in_job("1", &["login"]).ok();
    in_job("2", &["exec", "-C", "registry", "--", "true"]).ok();
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "POST /api/v1/exchange", "DELETE /api/v1/session"]);
    assert_eq!(in_job("2", &["release"]).code, Some(2), "another job's session is not this one's to end");
    in_job("1", &["read", "registry.user"]).ok();
    assert_eq!(broker.lines().last().map(String::as_str), Some("POST /api/v1/session/credentials"));
}

#[test]
fn another_role_leaves_the_session_that_lives_alone() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login", "--role", "shop-deploy"]).ok();
    job.run(&["read", "registry.user", "--role", "another"]).ok();
    let before = broker.lines().len();
    for role in ["shop-deploy", "another"] {
        Ran::of(&mut job.bare(&["read", "registry.user", "--role", role])).ok();
    }
    Ran::of(&mut job.bare(&["release"])).ok();
    assert_eq!(
        broker.lines()[before..],
        [
            "POST /api/v1/session/credentials",
            "POST /api/v1/session/credentials",
            "DELETE /api/v1/session",
            "DELETE /api/v1/session"
        ],
        "both are kept, and both are released"
    );
}

#[test]
fn the_first_operators_session_ends_where_the_broker_speaks_to_jobs() {
    let (broker, operators) = (Broker::start(), Broker::start());
    let job = Job::at(&broker);
    std::fs::write(job.path("bootstrap"), "dps_first\n").expect("written");
    let file = job.path("bootstrap");
    let words = ["login", "--bootstrap-file", file.to_str().expect("text")];
    let at = |words: &[&str]| {
        let mut command = job.bare(words);
        command.env_remove("DAYPASS_ADDR").env("DAYPASS_OPERATOR_ADDR", &operators.address);
        command
    };
    Ran::of(&mut at(&words)).ok();
    Ran::of(&mut at(&["secret", "get", "secret/shop/registry"])).ok();
    let lost = Ran::of(&mut at(&["release"]));
    assert_eq!(lost.code, Some(2));
    assert!(lost.stderr.contains("DAYPASS_ADDR"), "{}", lost.stderr);
    Ran::of(at(&["release"]).env("DAYPASS_ADDR", &broker.address)).ok();
    assert_eq!(broker.lines(), ["DELETE /api/v1/session"]);
    assert_eq!(operators.lines(), ["POST /api/v1/bootstrap", "GET /api/v1/secrets/secret/shop/registry"]);
}

#[test]
fn a_login_can_say_what_is_made() {
    let broker = Broker::start();
    Job::at(&broker).run(&["login", "-C", "registry"]).ok();
    assert!(broker.asked()[0].body.contains(r#""credentials":["registry"]"#), "{}", broker.asked()[0].body);
    assert_eq!(broker.lines(), ["POST /api/v1/exchange"], "a stored secret needs no release");
}

#[test]
fn the_first_operator_logs_in_with_the_printed_token() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    std::fs::write(job.path("bootstrap"), "dps_first\n").expect("written");
    let file = job.path("bootstrap");
    let login = Ran::of(&mut job.bare(&["login", "--bootstrap-file", file.to_str().expect("text")]));
    assert!(!login.stdout.contains(SESSION) && !login.stderr.contains(SESSION));
    assert!(login.ok().contains("operators"));
    let asked = broker.asked().pop().expect("asked");
    assert_eq!((asked.target.as_str(), asked.body.as_str()), ("/api/v1/bootstrap", r#"{"token":"dps_first"}"#));
    Ran::of(&mut job.bare(&["secret", "get", "secret/shop/registry"])).ok();
    let again = Ran::of(&mut job.bare(&["login", "--bootstrap-file", "/nowhere"]));
    assert_eq!(again.code, Some(2));
}

#[test]
fn a_session_is_never_sent_to_another_address() {
    let (here, there) = (Broker::start(), Broker::start());
    let job = Job::at(&here);
    job.run(&["login"]).ok();
    let ran = Ran::of(job.bare(&["whoami"]).env("DAYPASS_ADDR", &there.address));
    assert_eq!(ran.code, Some(2));
    assert_eq!(there.lines(), Vec::<String>::new());
}

#[test]
fn a_session_that_the_broker_ended_is_replaced() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    job.run(&["login"]).ok();
    std::fs::rename(job.path("token"), job.path("id")).expect("renamed");
    broker.once("POST /api/v1/session/credentials", 401, Vec::new(), problem(401, "session_unknown"));
    let id_token = std::fs::read_to_string(job.path("id")).expect("read");
    // Nothing but the session tells the address.
    let read = |id_token: &str| {
        Ran::of(job.bare(&["read", "registry.password"]).env_remove("DAYPASS_ADDR").env("DAYPASS_ID_TOKEN", id_token)).ok()
    };
    assert_eq!(read(id_token.trim()), format!("{REGISTRY}\n"));
    assert_eq!(broker.lines()[1..], ["POST /api/v1/session/credentials", "POST /api/v1/exchange"]);
    assert_eq!(read(""), format!("{REGISTRY}\n"));
    assert_eq!(broker.lines()[3..], ["POST /api/v1/session/credentials"], "the dead one is not tried again");
}

#[test]
fn the_shell_reads_env_back_exactly() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let exports = job.run(&["env"]).ok();
    let script = format!("{exports}printf '%s|%s' \"$PGPASSWORD\" \"$REGISTRY_USER\"");
    let shell = Command::new("sh").arg("-c").arg(script).output().expect("a shell");
    assert_eq!(String::from_utf8(shell.stdout).expect("text"), format!("{PASSWORD}|robot-account"));
    // What lives on can be released.
    Ran::of(&mut job.bare(&["release"])).ok();
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "DELETE /api/v1/session"]);
}

#[test]
fn later_github_steps_get_the_variables_and_the_log_hides_them() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let file = job.path("github-env");
    std::fs::write(&file, "").expect("written");
    let ran = Ran::of(job.daypass(&["env", "--github", "-C", "registry"]).env("GITHUB_ACTIONS", "true").env("GITHUB_ENV", &file));
    assert!(ran.stderr.contains(&format!("::add-mask::{REGISTRY}\n")), "{}", ran.stderr);
    assert_eq!(ran.ok(), "");
    let text = std::fs::read_to_string(&file).expect("read");
    assert!(text.contains("REGISTRY_PASSWORD<<daypass_") && text.contains(&format!("\n{REGISTRY}\n")), "{text}");

    let elsewhere = job.run(&["env", "--github"]);
    assert_eq!(elsewhere.code, Some(2));
    assert_eq!(broker.lines().len(), 1, "nothing is issued that could not be delivered");
}

#[test]
fn an_unknown_field_names_the_known_ones_and_gives_the_lease_back() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let ran = job.run(&["read", "db.pasword"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("password"), "{}", ran.stderr);
    assert_eq!(broker.lines().last().map(String::as_str), Some("DELETE /api/v1/session"));
}

#[test]
fn exec_keeps_no_session() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    std::fs::create_dir(job.path("runtime")).expect("made");
    let ran = Ran::of(job.daypass(&["exec", "--", "true"]).env("XDG_RUNTIME_DIR", job.path("runtime")));
    ran.ok();
    assert!(is_empty(&job.path("runtime")));
}

#[test]
fn the_token_comes_from_standard_input_too() {
    let broker = Broker::start();
    let job = Job::at(&broker);
    let stdin = std::fs::File::open(job.path("token")).expect("open");
    let ran = Ran::of(job.bare(&["read", "registry.user", "--token-file", "-"]).stdin(stdin));
    assert_eq!(ran.ok(), "robot-account\n");
}

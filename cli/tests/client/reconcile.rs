use crate::broker::Broker;
use crate::run::{Job, Ran};

fn job(broker: &Broker) -> Job {
    let job = Job::at(broker);
    job.run(&["login"]).ok();
    job
}

#[test]
fn what_differs_is_shown_in_columns_and_a_hold_is_said() {
    let broker = Broker::start();
    let job = job(&broker);
    let answer = serde_json::json!({"dry_run": true, "hold": {"since": "2026-01-01T00:00:00Z", "reason": "from a backup"}, "targets": [
        {"connection": "shop", "engine": "postgres", "logins": 2, "lost_count": 1,
         "strays": [{"name": "dp_x\u{1b}[2J", "reason": "no lease knows of it", "step": "spared", "first_seen": "2026-01-01T00:00:00Z",
            "next_at": "2026-01-02T00:00:00Z"}],
         "lost": [{"lease_id": "l-1", "role": "shop-deploy", "name": "dp_y"}]},
        {"connection": "till", "engine": "postgres", "lost_count": 0, "strays": [], "lost": [], "failure": "nobody answers"}]});
    broker.once("POST /api/v1/reconcile", 200, Vec::new(), answer.to_string());
    let ran = Ran::of(&mut job.bare(&["--color", "never", "lease", "reconcile", "--dry-run", "--connection", "shop"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["shop", "2", "1", "1", "compared"]);
    assert_eq!(lines[2], ["till", "-", "0", "0", "nobody", "answers"]);
    assert!(
        ran.stdout.contains("spared until 01-02 00:00:00") && ran.stdout.contains("gone; lease l-1 of shop-deploy"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains('\u{1b}'), "a login's name writes nothing on the terminal");
    assert!(ran.stderr.contains("from a backup") && ran.stderr.contains("daypass lease resume"), "{}", ran.stderr);
    let asked = broker.asked().pop().expect("asked");
    assert_eq!(asked.body, r#"{"connection":"shop","dry_run":true}"#);
}

#[test]
fn resuming_says_what_was_waiting() {
    let broker = Broker::start();
    let job = job(&broker);
    broker.once("POST /api/v1/resume", 200, Vec::new(), "{}".to_owned());
    assert!(Ran::of(&mut job.bare(&["lease", "resume"])).ok().contains("there was no hold"));
    let held = serde_json::json!({"hold": {"since": "2026-01-01T00:00:00Z", "reason": "from a backup"}});
    broker.once("POST /api/v1/resume", 200, Vec::new(), held.to_string());
    let told = Ran::of(&mut job.bare(&["lease", "resume"])).ok();
    assert!(told.contains("from a backup") && told.contains("2026-01-01T00:00:00Z"), "{told}");
}

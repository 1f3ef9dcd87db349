use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::broker::Broker;
use crate::run::Job;

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

/// Runs a command that says "ready", sends the signal, and returns the exit code and what the command said then.
fn signalled(broker: &Broker, signal: &str, script: &str) -> (Option<i32>, String) {
    let job = Job::at(broker);
    let mut daypass =
        job.daypass(&["exec", "--files", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(daypass.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    kill(signal, daypass.id());
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    (daypass.wait().expect("ended").code(), rest.join("\n"))
}

#[test]
fn passes_signals_on_and_releases_afterwards() {
    for (signal, number) in [("-TERM", 15), ("-INT", 2), ("-HUP", 1)] {
        let broker = Broker::start();
        let trap = format!("trap 'echo caught; exit 7' {number}; echo ready; while :; do sleep 0.05; done");
        assert_eq!(signalled(&broker, signal, &trap), (Some(7), "caught".to_owned()), "{signal}");
        broker.wait_for("DELETE /api/v1/session");
    }
}

#[test]
fn ends_as_the_command_did() {
    let broker = Broker::start();
    let script = "echo ready; exec sleep 30";
    assert_eq!(signalled(&broker, "-TERM", script), (Some(128 + 15), String::new()));
    broker.wait_for("DELETE /api/v1/session");
}

#[test]
fn a_signal_before_the_command_starts_still_releases() {
    let broker = Broker::start();
    broker.once("POST /api/v1/exchange", 503, vec![("retry-after", "1".to_owned())], String::new());
    let job = Job::at(&broker);
    let mut daypass = job.daypass(&["exec", "--", "sh", "-c", "echo started"]).stdout(Stdio::piped()).spawn().expect("started");
    broker.wait_for("POST /api/v1/exchange");
    std::thread::sleep(Duration::from_millis(100));
    kill("-TERM", daypass.id());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut daypass.stdout.take().expect("piped"), &mut said).expect("read");
    assert_eq!((daypass.wait().expect("ended").code(), said.as_str()), (Some(128 + 15), ""));
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "POST /api/v1/exchange", "DELETE /api/v1/session"]);
}

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::broker::Broker;
use crate::run::Job;

fn kill(signal: Signal, pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it is there");
}

/// Runs a command that says "ready", sends the signal, and returns the exit code and what the command said then.
fn signalled(broker: &Broker, signal: Signal, script: &str) -> (Option<i32>, String) {
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
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let broker = Broker::start();
        let trap = format!("trap 'echo caught; exit 7' {}; echo ready; while :; do sleep 0.05; done", signal.as_raw());
        assert_eq!(signalled(&broker, signal, &trap), (Some(7), "caught".to_owned()), "{signal:?}");
        broker.wait_for("DELETE /api/v1/session");
    }
}

#[test]
fn ends_as_the_command_did() {
    let broker = Broker::start();
    let script = "echo ready; exec sleep 30";
    assert_eq!(signalled(&broker, Signal::TERM, script), (Some(128 + 15), String::new()));
    broker.wait_for("DELETE /api/v1/session");
}

/// Has `exec` told to end after it asked for this, and returns its exit code and what its command said.
fn told_to_end_after(broker: &Broker, asked: &str) -> (Option<i32>, String) {
    let job = Job::at(broker);
    let mut daypass = job.daypass(&["exec", "--", "sh", "-c", "echo started"]).stdout(Stdio::piped()).spawn().expect("started");
    broker.wait_for(asked);
    kill(Signal::TERM, daypass.id());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut daypass.stdout.take().expect("piped"), &mut said).expect("read");
    (daypass.wait().expect("ended").code(), said)
}

#[test]
fn a_signal_before_the_command_starts_still_releases() {
    let broker = Broker::start();
    broker.slow("POST /api/v1/exchange", Duration::from_secs(2));
    assert_eq!(told_to_end_after(&broker, "POST /api/v1/exchange"), (Some(128 + 15), String::new()));
    assert_eq!(broker.lines(), ["POST /api/v1/exchange", "DELETE /api/v1/session"], "what came after the signal is given back");
}

#[test]
fn a_signal_between_two_attempts_ends_the_asking() {
    let broker = Broker::start();
    broker.refuse_once("POST /api/v1/exchange", 503, "overloaded", vec![("retry-after", "20".to_owned())]);
    assert_eq!(told_to_end_after(&broker, "POST /api/v1/exchange"), (Some(128 + 15), String::new()));
    assert_eq!(broker.lines(), ["POST /api/v1/exchange"], "nothing is issued to a job that is over");
}

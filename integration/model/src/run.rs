//! The command line, and what it prints: worlds in which the protocol has to hold, and mutants that have to be caught.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use stateright::{Checker, Expectation, HasDiscoveries, Model as _};

use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::protocol::{Action, Protocol};

/// Explores the lease protocol whole, in several small worlds, and then shows that it would have found what is wrong.
#[derive(Debug, Parser)]
#[command(name = "daypass-model", version)]
struct Arguments {
    /// The reduced bound of `./dev test`: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Print the steps that show each mutant wrong.
    #[arg(long)]
    steps: bool,
}

/// What came of exploring one world.
#[derive(Debug)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    pub(crate) took: Duration,
    /// How many promises hold.
    pub(crate) holds: usize,
    /// Promises that do not, with the steps that show it.
    pub(crate) broken: Vec<(&'static str, Vec<Action>)>,
    /// What should be reachable and is not: the world is too small to mean anything.
    pub(crate) unreached: Vec<&'static str>,
}

/// Walks through every state, or to the first broken promise.
pub(crate) fn explore(protocol: Protocol, threads: usize) -> Explored {
    let began = Instant::now();
    let builder = protocol.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
    let checker = builder.spawn_bfs().join();
    let mut found = checker.discoveries();
    let (mut holds, mut broken, mut unreached) = (0, Vec::new(), Vec::new());
    for property in protocol.properties() {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => unreached.push(property.name),
            (Expectation::Sometimes, Some(_)) => {}
            (_, None) => holds += 1,
            (_, Some(path)) => broken.push((property.name, path.into_actions())),
        }
    }
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    Explored { states, depth, took: began.elapsed(), holds, broken, unreached }
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = |good: bool, word: &str| match (colour, good) {
        (false, _) => word.to_owned(),
        (true, true) => format!("\x1b[32m{word}\x1b[0m"),
        (true, false) => format!("\x1b[1;31m{word}\x1b[0m"),
    };
    let mut good = true;
    let (mut states, began) = (0, Instant::now());

    println!("{:<27}  {:<40}  {:>10}  {:>5}  {:>8}  promises", "the protocol", "faults", "states", "depth", "time");
    for plan in if arguments.quick { Plan::SMALL } else { Plan::FULL } {
        let explored = explore(Protocol { plan, mutant: None }, arguments.threads);
        let verdict = match (explored.broken.first(), explored.unreached.first()) {
            (None, None) => paint(true, &format!("{} hold", explored.holds)),
            (Some((promise, _)), _) => paint(false, &format!("BROKEN: {promise}")),
            (None, Some(missing)) => paint(false, &format!("NOT {missing}")),
        };
        println!(
            "{:<27}  {:<40}  {:>10}  {:>5}  {:>8}  {verdict}",
            plan.name,
            plan.faults(),
            grouped(explored.states),
            explored.depth,
            seconds(explored.took)
        );
        explored.broken.iter().for_each(|(_, steps)| tell(steps));
        good &= explored.broken.is_empty() && explored.unreached.is_empty();
        states += explored.states;
    }

    println!("\n{:<42}  {:<25}  {:>10}  {:>5}  {:>8}  caught by", "mutants", "world", "states", "steps", "time");
    for mutant in Mutant::ALL {
        let plan = mutant.world();
        let explored = explore(Protocol { plan, mutant: Some(mutant) }, arguments.threads);
        let (steps, verdict) = match explored.broken.first() {
            Some((promise, steps)) => (steps.len().saturating_sub(1), paint(true, promise)),
            None => (0, paint(false, "NOT CAUGHT")),
        };
        println!(
            "{} {:<40}  {:<25}  {:>10}  {steps:>5}  {:>8}  {verdict}",
            mutant.letter(),
            mutant.name(),
            plan.name,
            grouped(explored.states),
            seconds(explored.took)
        );
        if arguments.steps {
            explored.broken.iter().take(1).for_each(|(_, steps)| tell(steps));
        }
        good &= !explored.broken.is_empty();
    }

    let verdict = if good { "the protocol holds, every mutant is caught" } else { "the protocol is not shown to hold" };
    println!("\n{}: {} states of the protocol in {}", paint(good, verdict), grouped(states), seconds(began.elapsed()));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
fn tell(steps: &[Action]) {
    for (number, step) in steps.iter().enumerate() {
        println!("    {:>3}  {step:?}", number + 1);
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// `1,234,567`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

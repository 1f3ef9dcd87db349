//! Chaos: three replicas under steady exchanges while replicas and targets are killed and frozen, and an oracle that looks
//! for what must never be. The oracle reads the targets' own catalogs and the broker's tables; what the broker says of itself does
//! not count.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;
use tokio::task::JoinSet;

use dice::Dice;
use faults::Done;
use jobs::{Doors, Ledger};
use oracle::{Found, Left};
use targets::Targets;

use crate::ground::{Ground, Settings};

mod catalog;
mod dice;
mod faults;
mod jobs;
mod oracle;
mod targets;
#[cfg(test)]
mod tests;

const REPLICAS: usize = 3;
const JOBS: usize = 8;
/// How long everything may take to end once nothing goes wrong any more: a dead worker's claim and a few tries.
const DRAIN: Duration = Duration::from_mins(4);

/// Kills and freezes replicas and targets under load, and looks for what must never be.
#[derive(Debug, Parser)]
#[command(name = "daypass-chaos", version)]
struct Arguments {
    /// How long things go wrong.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// Go on until so many replicas were killed, however long that takes.
    #[arg(long)]
    kills: Option<u64>,
    /// Throw the same dice again.
    #[arg(long)]
    seed: Option<u64>,
    /// The targets' server, as its superuser: one of their own, because it is made to crash.
    #[arg(long, env = "DAYPASS_CHAOS_TARGETS", hide_env_values = true, value_name = "URL")]
    targets: String,
    /// A MariaDB as one more target, as its root; whoever started it starts it again when it is killed. Without it there are two.
    #[arg(long, env = "DAYPASS_CHAOS_MARIADB", hide_env_values = true, value_name = "URL")]
    mariadb: Option<String>,
}

/// Runs what the command line says. Fails when anything was found.
pub fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    broker::app::install_providers();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            outcome = chaos(&arguments) => outcome,
            // Leaving this way ends what was started.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        }
    })
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
async fn chaos(arguments: &Arguments) -> Result<ExitCode> {
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from_str_radix(&crate::cluster::word(4)?, 16)?,
    };
    println!("seed {seed}");
    let targets = Targets::make(&arguments.targets, arguments.mariadb.as_deref()).await?;
    let names: Vec<&str> = targets.all.iter().map(|target| target.name).collect();
    println!("targets {}{}", names.join(", "), if targets.mariadb().is_none() { " (no MariaDB)" } else { "" });
    let outcome = run(arguments, seed, &targets).await;
    targets.clear().await?;
    outcome
}

async fn run(arguments: &Arguments, seed: u64, targets: &Targets) -> Result<ExitCode> {
    let ground = Arc::new(Ground::new().await?);
    let more = targets.configuration(|name, password| ground.secret(name, password))?;
    ground.add_policy("chaos.toml", &targets.policy())?;
    // A configuration that does not hold fails here, and not as one death after the other.
    drop(ground.start_with(&Settings { more: more.clone(), ..Settings::default() }).await?);

    let (done, ledger) = (Arc::new(Done::default()), Arc::new(Ledger::default()));
    let doors: Doors = Arc::new(std::sync::Mutex::new(vec![None; REPLICAS]));
    let mut dice = (0..).map(|actor| Dice::new(seed, actor));
    let mut throw = || dice.next().unwrap_or_else(|| Dice::new(seed, 0));
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for place in 0..REPLICAS {
        tasks.spawn(faults::replica(ground.clone(), more.clone(), place, doors.clone(), done.clone(), throw()));
    }
    for _ in 0..JOBS {
        tasks.spawn(jobs::work(ledger.clone(), doors.clone(), targets.clone(), throw()));
    }
    let (all, count, dice) = (targets.clone(), done.clone(), throw());
    tasks.spawn(async move {
        faults::targets(all, count, dice).await;
        Ok(())
    });

    let (mut found, began) = (Found::default(), Instant::now());
    let goes_on = || match arguments.kills {
        Some(kills) => done.kills() < kills,
        None => began.elapsed().as_secs() < arguments.seconds,
    };
    while goes_on() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The targets may be down at the moment.
        let _ = oracle::look(&mut found, &ground.databases, targets).await;
        progress(&format!("{:>4} s", began.elapsed().as_secs()), &done, &ledger, &found);
        while let Some(ended) = tasks.try_join_next() {
            ended??;
        }
    }
    ledger.stop();
    done.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }

    let left = drain(&ground, &more, targets, &mut found, &done, &ledger).await?;
    oracle::audit(&mut found, &ledger.got(), &ground.databases, targets).await?;
    let overdue = oracle::worst_overdue(&ground.databases).await?;
    Ok(report(&done, &ledger, &found, left, overdue))
}

/// Three replicas that nothing happens to, until everything has ended or the time is over.
async fn drain(ground: &Ground, more: &str, targets: &Targets, found: &mut Found, done: &Done, ledger: &Ledger) -> Result<Left> {
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(ground.start_with(&Settings { more: more.to_owned(), ..Settings::default() }).await?);
    }
    let until = Instant::now() + DRAIN;
    loop {
        // A server that was struck last may still be on its way back.
        let looked = async {
            oracle::look(found, &ground.databases, targets).await?;
            oracle::left(&ground.databases, targets).await
        };
        let left = match looked.await {
            Ok(left) => left,
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
        };
        if (left.open_leases == 0 && left.logins == 0) || Instant::now() > until {
            return Ok(left);
        }
        progress(&format!("{} leases still open", left.open_leases), done, ledger, found);
        tokio::time::sleep(Duration::from_millis(500)).await;
        if replicas.is_empty() {
            bail!("no replica is left");
        }
    }
}

#[expect(clippy::print_stderr, reason = "progress of a program that takes minutes")]
fn progress(when: &str, done: &Done, ledger: &Ledger, found: &Found) {
    if std::io::stderr().is_terminal() {
        let bad = found.leaked.len() + found.sessions.len();
        eprint!("\r\x1b[K{when}: {} kills, {} exchanges granted, {bad} found", done.kills(), ledger.count());
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the program's answer")]
fn report(done: &Done, ledger: &Ledger, found: &Found, left: Left, (overdue, tries): (f64, i32)) -> ExitCode {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let doubles = found.doubles.len() + usize::try_from(load(&ledger.doubles)).unwrap_or(usize::MAX);
    let line = |what: &str, figure: String| println!("{what:<42}{figure:>8}");
    line("kills of replicas", done.kills().to_string());
    line("  at named points", load(&done.named).to_string());
    line("replicas frozen", load(&done.frozen).to_string());
    line("targets struck", load(&done.targets).to_string());
    line("exchanges asked", load(&ledger.asked).to_string());
    line("exchanges granted", ledger.count().to_string());
    line("leaked logins", found.leaked.len().to_string());
    line("credentials without lease or audit row", found.unrecorded.len().to_string());
    line("double issues from one token", doubles.to_string());
    line("live sessions after revocation", found.sessions.len().to_string());
    line("leases still open at the end", left.open_leases.to_string());
    line("names held at the targets, without login", left.names.to_string());
    line("worst overdue", format!("{overdue:.1} s"));
    line("  tries of that one", tries.to_string());
    for what in found.leaked.iter().chain(&found.unrecorded).chain(&found.sessions) {
        println!("  {what}");
    }
    let good = found.leaked.is_empty()
        && found.unrecorded.is_empty()
        && doubles == 0
        && found.sessions.is_empty()
        && left.open_leases == 0;
    if ledger.count() == 0 {
        println!("nothing was granted, so nothing is shown");
    }
    if good && ledger.count() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! The bench: what Daypass does, held against what the machine can do at all. Everything in one run, references and broker
//! taking turns, because figures of two runs cannot be compared.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people: counts and times far below where a float loses one"
)]

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use echo::Echo;
use ground::Ground;
use machine::Machine;
use pgbench::Scripts;
use plan::Plan;
use table::{Row, Verdict};

pub mod echo;
pub mod ground;
pub mod http;
pub mod load;
pub mod machine;
pub mod openbao;
pub mod pgbench;
pub mod plan;
pub mod process;
pub mod rows;
pub mod table;
pub mod tokens;

/// Measures the broker against pgbench, bare verification and an echo server, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "daypass-bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only show that everything works, in seconds; nothing is judged.
    #[arg(long)]
    quick: bool,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How often each measurement is repeated.
    #[arg(long)]
    repeats: Option<usize>,
    /// Measure OpenBao too (rows 6 and 8).
    #[arg(long, requires = "openbao")]
    peers: bool,
    /// OpenBao's program, `bao`.
    #[arg(long, env = "DAYPASS_OPENBAO", value_name = "FILE")]
    openbao: Option<PathBuf>,
    /// Measure only these, by the name of what is measured; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The broker's program, if it is not beside this one.
    #[arg(long)]
    broker: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The echo server; the bench starts it itself.
    #[command(hide = true)]
    Echo(echo::Serve),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Row 1.
    Verify,
    /// Rows 3 and 4.
    Exchange,
    /// Row 5, and with OpenBao rows 6 and 8.
    Connections,
    /// Rows 11 and 12.
    Overload,
    /// Row 9.
    Logins,
    /// Row 17.
    Disk,
    /// Rows 13 to 15.
    Footprint,
    /// Rows 10 and 18.
    Many,
}

/// A whole run.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    repeats: usize,
    quick: bool,
    rows: Vec<Row>,
    notes: Vec<String>,
    /// What could not be measured, and why.
    missing: Vec<String>,
}

/// Runs what the command line says. Fails when a floor does not hold.
pub fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    broker::app::install_providers();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = async {
            match arguments.verb {
                Some(Verb::Echo(serve)) => echo::serve(serve).await.map(|()| ExitCode::SUCCESS),
                None => bench(&arguments).await,
            }
        };
        tokio::select! {
            outcome = work => outcome,
            // Leaving this way ends what was started and removes its files.
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        }
    })
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
async fn bench(arguments: &Arguments) -> Result<ExitCode> {
    let mut plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    plan.repeats = arguments.repeats.unwrap_or(plan.repeats).max(1);
    let program = match &arguments.broker {
        Some(program) => program.clone(),
        None => ground::beside("daypass-broker")?,
    };
    let peer = arguments.openbao.as_deref().filter(|_| arguments.peers);
    let report = run(arguments, program, peer, plan).await?;
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Table => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            println!("\n{}\n", report.machine);
            print!("{}", table::render(&report.rows, colour));
            report.notes.iter().for_each(|note| println!("· {note}"));
            report.missing.iter().for_each(|missing| println!("✗ {missing}"));
        }
    }
    let broken = report.rows.iter().any(|row| row.verdict == Verdict::BelowFloor);
    Ok(if !report.missing.is_empty() || broken && !arguments.quick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run(arguments: &Arguments, program: PathBuf, peer: Option<&Path>, plan: Plan) -> Result<Report> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    say("PostgreSQL that keeps what it has committed, keys, policies");
    let ground = Ground::lay(program).await?;
    let mut table = Table { machine: Machine::look(&ground).await?, rows: Vec::new(), notes: Vec::new(), missing: Vec::new() };
    if wanted(Part::Verify) {
        say("row 1: verifying tokens");
        table.take("row 1", rows::verify::measure(&ground, plan).await);
    }
    let plain = ground.broker("plain", false).await?;
    ground.try_out(&ground.target(plain.native, false)?).await?;
    let scripts = Scripts::make(&ground).await?;
    // What is possible is known from these rows; others ask a part of it.
    say("rows 3 and 4: exchanges over kept connections, and pgbench");
    let exchange = rows::exchange::measure(&ground, &plain, &scripts, plan).await.context("rows 3 and 4")?;
    table.rows.extend(exchange.rows);
    table.notes.extend(exchange.notes);
    if wanted(Part::Connections) {
        say("row 5: exchanges over new TLS connections, and an echo server");
        let (tls, echo) = (ground.broker("tls", true).await?, Echo::start(&ground).await?);
        table.take("row 5", rows::connections::measure(&ground, &tls, &echo, plan).await);
        drop(echo);
        if let Some(peer) = peer {
            say("rows 6 and 8: OpenBao");
            table.take("row 6", rows::peers::kept(&ground, &plain, peer, plan).await);
            table.take("row 8", rows::peers::new(&ground, &tls, peer, plan).await);
        }
        tls.stop().await?;
    }
    if wanted(Part::Overload) {
        say("rows 11 and 12: half and twice the saturation");
        table.take("rows 11 and 12", rows::overload::measure(&ground, &plain, exchange.saturation, plan).await);
    }
    if wanted(Part::Logins) {
        say("row 9: logins of their own, made and taken back");
        table.take("row 9", rows::logins::measure(&ground, &plain, plan).await);
    }
    let mut disk = None;
    if wanted(Part::Disk) {
        say("row 17: disk");
        disk = Some(rows::disk::measure(&ground, &plain, plan).await);
    }
    plain.stop().await?;
    if wanted(Part::Footprint) {
        say("rows 13 to 15: memory, start, size");
        table.take("rows 13 to 15", rows::footprint::measure(&ground, plan).await);
    }
    if let Some(disk) = disk {
        let (rows, parts) = disk.map_or_else(|error| (Err(error), None), |(rows, parts)| (Ok(rows), Some(parts)));
        table.notes.extend(parts);
        table.take("row 17", rows);
    }
    if wanted(Part::Many) {
        say("rows 10 and 18: many live leases; the table is filled first");
        table.take("rows 10 and 18", rows::many::measure(&ground, plan, exchange.saturation).await);
    }
    table.machine.look_again()?;
    if arguments.quick {
        table.notes.push("a quick run is too short to judge anything".to_owned());
    }
    ground.end().await?;
    let Table { machine, rows, notes, missing } = table;
    Ok(Report { machine, repeats: plan.repeats, quick: arguments.quick, rows, notes, missing })
}

/// What has been measured so far. Rows that cannot be measured are told at the end, and lose nothing of the others.
struct Table {
    machine: Machine,
    rows: Vec<Row>,
    notes: Vec<String>,
    missing: Vec<String>,
}

impl Table {
    fn take(&mut self, what: &str, measured: Result<Vec<Row>>) {
        match measured {
            Ok(rows) => self.rows.extend(rows),
            Err(error) => self.missing.push(format!("{what}: {error:#}")),
        }
    }
}

/// What is going on, for whoever waits.
#[expect(clippy::print_stderr, reason = "progress of a program that takes minutes")]
fn say(what: &str) {
    eprintln!("==> {what}");
}

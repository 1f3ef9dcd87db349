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

/// A whole run.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    repeats: usize,
    quick: bool,
    rows: Vec<Row>,
    notes: Vec<String>,
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
    let report = run(program, peer, plan, arguments.quick).await?;
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Table => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            println!("\n{}\n", report.machine);
            print!("{}", table::render(&report.rows, colour));
            report.notes.iter().for_each(|note| println!("· {note}"));
        }
    }
    let broken = report.rows.iter().any(|row| row.verdict == Verdict::BelowFloor);
    Ok(if broken && !arguments.quick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn run(program: PathBuf, peer: Option<&Path>, plan: Plan, quick: bool) -> Result<Report> {
    say("PostgreSQL that keeps what it has committed, keys, policies");
    let ground = Ground::lay(program).await?;
    let mut machine = Machine::look(&ground).await?;
    say("row 1: verifying tokens");
    let mut rows = rows::verify::measure(&ground, plan).await.context("row 1")?;

    let plain = ground.broker("plain", false).await?;
    ground.try_out(&ground.target(plain.native, false)?).await?;
    let scripts = Scripts::make(&ground).await?;
    say("rows 3 and 4: exchanges over kept connections, and pgbench");
    let exchange = rows::exchange::measure(&ground, &plain, &scripts, plan).await.context("rows 3 and 4")?;
    rows.extend(exchange.rows);

    say("row 5: exchanges over new TLS connections, and an echo server");
    let (tls, echo) = (ground.broker("tls", true).await?, Echo::start(&ground).await?);
    rows.extend(rows::connections::measure(&ground, &tls, &echo, plan).await.context("row 5")?);
    drop(echo);
    if let Some(peer) = peer {
        say("rows 6 and 8: OpenBao");
        rows.extend(rows::peers::kept(&ground, &plain, peer, plan).await.context("row 6")?);
        rows.extend(rows::peers::new(&ground, &tls, peer, plan).await.context("row 8")?);
    }
    tls.stop().await?;

    say("rows 11 and 12: half and twice the saturation");
    rows.extend(rows::overload::measure(&ground, &plain, exchange.saturation, plan).await.context("rows 11 and 12")?);
    say("row 9: logins of their own, made and taken back");
    rows.extend(rows::logins::measure(&ground, &plain, plan).await.context("row 9")?);
    say("row 17: disk");
    let (disk, parts) = rows::disk::measure(&ground, &plain, plan).await.context("row 17")?;
    plain.stop().await?;
    say("rows 13 to 15: memory, start, size");
    rows.extend(rows::footprint::measure(&ground, plan).await.context("rows 13 to 15")?);
    rows.extend(disk);
    say("rows 10 and 18: many live leases; the table is filled first");
    rows.extend(rows::many::measure(&ground, plan, exchange.saturation).await.context("rows 10 and 18")?);

    let mut notes = exchange.notes;
    notes.push(parts);
    machine.look_again()?;
    if quick {
        notes.push("a quick run is too short to judge anything".to_owned());
    }
    ground.end().await?;
    Ok(Report { machine, repeats: plan.repeats, quick, rows, notes })
}

/// What is going on, for whoever waits.
#[expect(clippy::print_stderr, reason = "progress of a program that takes minutes")]
fn say(what: &str) {
    eprintln!("==> {what}");
}

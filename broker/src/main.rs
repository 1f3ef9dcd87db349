//! `daypass-broker`: arguments, then the app.

use std::path::PathBuf;
use std::process::ExitCode;

use broker::app::{self, Run};
use broker::system::{System, harden};
use broker::telemetry::chain;
use clap::{Args, Parser, Subcommand};
use mimalloc::MiMalloc;

/// Requests allocate on one thread and free on another, thousands of small things each: the C library's allocator takes a quarter of
/// the broker's CPU for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The Daypass server: exchanges CI tokens for short-lived credentials.
#[derive(Debug, Parser)]
#[command(name = "daypass-broker", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until told to stop. SIGHUP reads the policy folder and the certificate again.
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// What this process does: answer requests, take leases back, or both.
        #[arg(long, value_enum, default_value_t = Run::All)]
        run: Run,
    },
    /// Check the configuration and the policy folder without starting.
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Bring the database's schema up to date, as the role that owns it.
    Migrate(Migrate),
    /// Make a new generation of the data key; running brokers move every record to it.
    RotateKey {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Put a folder's policy set in place of the one that operators pushed, when they cannot: [policy] source = "database".
    AdoptPolicy {
        #[command(flatten)]
        config: ConfigFile,
        /// The folder of the set.
        folder: PathBuf,
    },
    /// For the operators of an installation.
    Operator {
        #[command(subcommand)]
        verb: OperatorVerb,
    },
    /// Ask a broker on this machine whether it is ready; exit status 0 if so.
    Healthcheck {
        /// The metrics listener's address.
        #[arg(long, default_value = "127.0.0.1:9090")]
        address: String,
    },
    /// Write the documents that are made from the code into a checkout.
    #[command(hide = true)]
    Generate {
        #[arg(default_value = ".")]
        root: PathBuf,
    },
    /// Tools for trying Daypass out. Not for production.
    Dev {
        #[command(subcommand)]
        verb: broker::dev::Command,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long = "config", env = "DAYPASS_CONFIG", default_value = "/etc/daypass/daypass.toml")]
    path: PathBuf,
}

#[derive(Debug, Args)]
struct Migrate {
    /// The database, as the role that owns the schema: postgres://role@host/database, without a password.
    #[arg(long, env = "DAYPASS_MIGRATE_URL")]
    database_url: String,
    /// A file with that role's password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// The role that brokers serve with; it gets exactly what serving needs.
    #[arg(long)]
    serving_role: Option<String>,
}

#[derive(Debug, Subcommand)]
enum OperatorVerb {
    /// Print a single-use token of ten minutes for the first operator. Only in the first hour of an installation.
    Bootstrap {
        #[command(flatten)]
        config: ConfigFile,
        /// A role of the policy set with an operator credential.
        #[arg(long)]
        role: String,
    },
}

#[expect(clippy::print_stderr, reason = "the end of the process is told on standard error")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    harden();
    app::install_providers();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("daypass-broker: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match arguments.verb {
            Verb::Serve { config, run } => app::serve(&config.path, run).await,
            Verb::Check { config } => app::check(&config.path).await,
            Verb::Migrate(migrate) => {
                app::migrate(&migrate.database_url, migrate.password_file.as_deref(), migrate.serving_role.as_deref()).await
            }
            Verb::RotateKey { config } => app::rotate_key(&config.path).await,
            Verb::AdoptPolicy { config, folder } => app::adopt(&config.path, &folder).await,
            Verb::Operator { verb: OperatorVerb::Bootstrap { config, role } } => app::bootstrap(&config.path, &role).await,
            Verb::Healthcheck { address } => app::healthcheck(&address).await,
            Verb::Generate { root } => app::generate(&root),
            Verb::Dev { verb } => broker::dev::run(verb, &System::real().0, &mut std::io::stdout()).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("daypass-broker: {}", words(&error));
            ExitCode::FAILURE
        }
    }
}

/// Each cause once. A list of problems has no cause and keeps its lines.
fn words(error: &anyhow::Error) -> String {
    if error.chain().len() == 1 { error.to_string() } else { chain(error.as_ref()) }
}

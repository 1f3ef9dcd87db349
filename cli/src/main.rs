//! `daypass`, the client: exchanges a CI job's token and hands the credentials to the command that needs them.

mod ambient;
mod api;
mod args;
mod context;
mod deliver;
mod explanation;
mod failure;
mod harden;
mod http;
mod input;
mod issued;
mod policy;
mod render;
mod session;
mod stop;
mod surroundings;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::args::{Format, Global};
use crate::context::Context;
use crate::failure::{EXIT_CODES, Failure, Result};
use crate::render::Out;
use crate::stop::Stop;
use crate::surroundings::Environment;
use crate::verbs::{audit, env, exec, kill, lease, login, policy as policies, read, release, secret, switch, whoami};

/// Exchanges a CI job's OIDC token for short-lived credentials and hands them to the command that needs them.
#[derive(Debug, Parser)]
#[command(name = "daypass", version, about, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a command with credentials, and release them when it ends
    Exec(exec::Exec),
    /// Print credentials as shell variables, or give them to later GitHub steps
    Env(env::Env),
    /// Print one value of a credential
    Read(read::Read),
    /// Open a session and keep it for later commands
    Login(login::Login),
    /// Show what the broker knows about the kept session
    Whoami,
    /// Release every lease of the kept session and end it
    #[command(alias = "logout")]
    Release,
    /// The session's leases; for operators, everybody's
    #[command(subcommand)]
    Lease(lease::Lease),
    /// Stop exchanges and end what came of earlier ones, for operators
    Kill(Box<kill::Kill>),
    /// Policy sets: checked, explained, proven and compared on this machine, put in place at a broker for operators
    #[command(subcommand)]
    Policy(policies::Policy),
    /// Issuers: list them, switch one off at once, for operators
    #[command(subcommand)]
    Issuer(switch::Switch),
    /// Roles: list them, switch one off at once, for operators
    #[command(subcommand)]
    Role(switch::Switch),
    /// Stored secrets, for operators and for jobs whose role reaches them
    #[command(subcommand)]
    Secret(secret::Secret),
    /// The audit log, for operators
    #[command(subcommand)]
    Audit(audit::Audit),
}

fn main() -> ExitCode {
    harden::harden();
    let mut cli = Cli::parse();
    cli.global.tidy();
    let out = Out::new(cli.global.format, cli.global.color);
    let context = Context { global: cli.global, env: Environment::of_process(), out, stop: Stop::default() };
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("the runtime cannot be started").because(&error))
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(&context, cli.verb));
            // A read of standard input that nobody waits for must not hold the end up.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(context: &Context, verb: Verb) -> Result<u8> {
    let format = context.global.format;
    if matches!(format, Format::Sarif | Format::Github) && !matches!(verb, Verb::Policy(policies::Policy::Check(_))) {
        return Err(Failure::usage("this verb writes no such format").fix("sarif and github are formats of `policy check`"));
    }
    let compares =
        matches!(&verb, Verb::Policy(policies::Policy::Prove(_) | policies::Policy::Diff(_) | policies::Policy::Simulate(_)));
    if format == Format::Markdown && !compares {
        return Err(Failure::usage("this verb writes no Markdown").fix("`policy prove`, `policy diff` and `policy simulate` do"));
    }
    match verb {
        Verb::Exec(exec) => return exec::run(context, exec).await,
        Verb::Lease(lease) => return lease::run(context, lease).await,
        Verb::Kill(kill) => return kill::run(context, *kill).await,
        Verb::Policy(policy) => return policies::run(context, policy).await,
        Verb::Env(env) => env::run(context, env).await?,
        Verb::Read(read) => read::run(context, read).await?,
        Verb::Login(login) => login::run(context, login).await?,
        Verb::Whoami => whoami::run(context).await?,
        Verb::Release => release::run(context).await?,
        Verb::Issuer(issuer) => switch::run(context, switch::What::Issuer, issuer).await?,
        Verb::Role(role) => switch::run(context, switch::What::Role, role).await?,
        Verb::Secret(secret) => secret::run(context, secret).await?,
        Verb::Audit(audit) => audit::run(context, audit).await?,
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Cli;

    /// What can be written and has no word of help.
    fn silent(command: &Command) -> Vec<String> {
        let options = command.get_arguments().filter(|option| !option.is_hide_set() && option.get_help().is_none());
        let mut found: Vec<String> = options.map(|option| format!("{} {option}", command.get_name())).collect();
        for verb in command.get_subcommands() {
            if verb.get_about().is_none() {
                found.push(verb.get_name().to_owned());
            }
            found.extend(silent(verb).into_iter().map(|option| format!("{} {option}", command.get_name())));
        }
        found
    }

    #[test]
    fn every_verb_and_every_option_says_what_it_is_for() {
        assert_eq!(silent(&Cli::command()), Vec::<String>::new());
    }
}

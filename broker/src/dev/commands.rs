//! `daypass-broker dev …`: what the `dev` script and the compose file call.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::issuer::{Issuer, Kind};
use super::postgres::{Durability, Options, Postgres};
use crate::system::System;

/// Tools for demos and tests; a real installation needs none of them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a CI issuer that plays GitHub, GitLab and a deploy service; prints its addresses as one JSON line.
    Issuer {
        /// Where its keys and certificates are kept.
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, default_value = "127.0.0.1:8443")]
        listen: SocketAddr,
        /// The host name in its URLs; more of them only go into the certificate.
        #[arg(long = "name", default_value = "localhost")]
        names: Vec<String>,
    },
    /// Print a token signed by the issuer kept in a directory.
    Token {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, value_enum)]
        kind: Kind,
        #[arg(long)]
        audience: Option<String>,
        /// `name=text`, or `name:=json` for numbers, lists and null (which leaves the claim out).
        #[arg(long = "claim", value_parser = parse_claim)]
        claims: Vec<(String, Value)>,
    },
    /// Print what a job on GitHub finds in its environment to ask for tokens, as JSON.
    Job {
        #[arg(long)]
        dir: PathBuf,
        /// As for `token`.
        #[arg(long = "claim", value_parser = parse_claim)]
        claims: Vec<(String, Value)>,
    },
    /// Write a server certificate of the directory's authority to PREFIX.pem and PREFIX.key.
    Certificate {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        out: PathBuf,
        #[arg(long = "name", required = true)]
        names: Vec<String>,
    },
    /// Run a private PostgreSQL in the foreground; prints one JSON line when it answers.
    Postgres {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        port: Option<u16>,
        /// Where initdb and postgres are.
        #[arg(long, env = "PG_BINDIR")]
        pg_bindir: Option<PathBuf>,
        #[arg(long, value_enum, default_value = "full")]
        durability: Durability,
        /// A setting of the server, `name=value`.
        #[arg(long = "set")]
        settings: Vec<String>,
    },
}

/// Does one of them; `out` is where its answer goes.
pub async fn run(command: Command, system: &System, out: &mut (dyn Write + Send)) -> Result<()> {
    match command {
        Command::Issuer { dir, listen, names } => {
            let stop = until_told();
            let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
            let host = names.first().context("the issuer needs a name")?;
            let base = format!("https://{host}:{}", listener.local_addr()?.port());
            let authority = Authority::open(system, &dir)?;
            let mut sans = names.clone();
            sans.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().filter(|name| !names.contains(name)));
            let leaf = authority.leaf(&sans)?;
            let issuer = Issuer::open(system, &dir, &base)?;
            line(out, &issuer.description(authority.ca_file()))?;
            issuer.serve(listener, &leaf, stop).await
        }
        Command::Token { dir, kind, audience, claims } => {
            let token =
                Issuer::reopen(system, &dir)?.token(kind, &claims.into_iter().collect::<Map<_, _>>(), audience.as_deref())?;
            writeln!(out, "{}", token.expose())?;
            Ok(())
        }
        Command::Job { dir, claims } => line(out, &Issuer::reopen(system, &dir)?.job(&claims.into_iter().collect())?),
        Command::Certificate { dir, out: prefix, names } => {
            let authority = Authority::open(system, &dir)?;
            authority.write_leaf(&names, &prefix)?;
            line(
                out,
                &json!({ "certificate": prefix.with_extension("pem"), "key": prefix.with_extension("key"), "ca_file": authority.ca_file() }),
            )
        }
        Command::Postgres { dir, port, pg_bindir, durability, settings } => {
            let stop = until_told();
            let options = Options { dir, port, bindir: pg_bindir, durability, settings };
            let mut server = Postgres::start(system, &options).await?;
            line(out, &server.ready())?;
            tokio::select! {
                () = stop.cancelled() => server.stop().await,
                ended = server.ended() => ended,
            }
        }
    }
}

fn line(out: &mut (dyn Write + Send), value: &impl serde::Serialize) -> Result<()> {
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}

fn parse_claim(text: &str) -> Result<(String, Value)> {
    match (text.split_once(":="), text.split_once('=')) {
        // "a=b:=c" is the text "b:=c".
        (Some((name, value)), _) if !name.contains('=') => {
            Ok((name.to_owned(), serde_json::from_str(value).with_context(|| format!("{value} is not JSON"))?))
        }
        (_, Some((name, value))) => Ok((name.to_owned(), Value::from(value))),
        _ => bail!("a claim is name=text or name:=json"),
    }
}

/// Cancelled by SIGTERM or SIGINT.
fn until_told() -> CancellationToken {
    let token = CancellationToken::new();
    let told = token.clone();
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            return;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_claims_as_text_or_json() {
        assert_eq!(parse_claim("ref=refs/heads/a=b").unwrap(), ("ref".into(), json!("refs/heads/a=b")));
        assert_eq!(parse_claim("runner_id:=7").unwrap(), ("runner_id".into(), json!(7)));
        assert_eq!(parse_claim("environment:=null").unwrap(), ("environment".into(), Value::Null));
        assert_eq!(parse_claim("note=x:=y").unwrap(), ("note".into(), json!("x:=y")));
        assert!(parse_claim("nothing").is_err());
    }
}

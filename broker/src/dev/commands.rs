//! `daypass-broker dev …`: what the `dev` script and the compose file call.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use domain::secret::Secret;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::files;
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
        /// Where it listens.
        #[arg(long, default_value = "127.0.0.1:8443")]
        listen: SocketAddr,
        /// The host name in its URLs; more of them only go into the certificate.
        #[arg(long = "name", default_value = "localhost")]
        names: Vec<String>,
    },
    /// Print a token signed by the issuer kept in a directory.
    Token {
        /// The directory of an issuer that was started by `daypass-broker dev issuer --dir DIR`.
        #[arg(long)]
        dir: PathBuf,
        /// Whose token it is to look like.
        #[arg(long, value_enum)]
        kind: Kind,
        /// Whom the token is for; as with the CI system itself unless told.
        #[arg(long)]
        audience: Option<String>,
        /// `name=text`, or `name:=json` for numbers, lists and null (which leaves the claim out).
        #[arg(long = "claim", value_parser = parse_claim)]
        claims: Vec<(String, Value)>,
    },
    /// Print what a job on GitHub finds in its environment to ask for tokens, as JSON.
    Job {
        /// As for `token`.
        #[arg(long)]
        dir: PathBuf,
        /// As for `token`.
        #[arg(long = "claim", value_parser = parse_claim)]
        claims: Vec<(String, Value)>,
    },
    /// Write a server certificate of the directory's authority to OUT.pem and OUT.key, and a copy of the authority's to ca.pem.
    Certificate {
        /// Where the authority is kept; it is made if there is none.
        #[arg(long)]
        dir: PathBuf,
        /// The files to write, without their endings.
        #[arg(long)]
        out: PathBuf,
        /// A host name or address of the server; may be given several times.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
    },
    /// Make random secrets (32 bytes, in hexadecimal), each in files of its own, unless they are there already.
    Secrets {
        /// Where the files go.
        #[arg(long)]
        dir: PathBuf,
        /// One secret: the files it goes to, separated by commas. A file is its owner's alone unless `:public` follows it.
        #[arg(required = true, value_name = "FILE[:public][,FILE…]")]
        secrets: Vec<String>,
    },
    /// Run a private PostgreSQL in the foreground; prints one JSON line when it answers.
    Postgres {
        /// Where its data is kept.
        #[arg(long)]
        dir: PathBuf,
        /// The port on 127.0.0.1; a free one unless told.
        #[arg(long)]
        port: Option<u16>,
        /// Where initdb and postgres are.
        #[arg(long, env = "PG_BINDIR")]
        pg_bindir: Option<PathBuf>,
        /// Whether what is committed outlives a crash of the machine.
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
        Command::Secrets { dir, secrets } => secrets.iter().try_for_each(|files| secret(system, &dir, files)),
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

/// Writes one secret to those of its files that are missing; what one of them holds already is what all hold.
fn secret(system: &System, dir: &Path, files: &str) -> Result<()> {
    let places: Vec<(PathBuf, bool)> = files
        .split(',')
        .map(|file| file.strip_suffix(":public").map_or_else(|| (dir.join(file), false), |file| (dir.join(file), true)))
        .collect();
    let mut value = None;
    for (path, _) in &places {
        value = value.or(files::read(path)?.map(Secret::new));
    }
    let value = match value {
        Some(value) => value,
        None => Secret::new(domain::audit::hex(&system.random::<32>()?)),
    };
    for (path, public) in &places {
        if path.exists() {
            continue;
        }
        if let Some(parent) = path.parent() {
            files::directory(parent)?;
        }
        let write = if *public { files::write_public } else { files::write_private };
        write(path, value.expose().as_bytes())?;
    }
    Ok(())
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
    fn makes_each_secret_once_and_keeps_it_to_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let (system, _clock) = System::real();
        let dir = tempfile::tempdir().unwrap();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o777;

        secret(&system, dir.path(), "broker/shop.password,shop/admin.password:public").unwrap();
        let first = text("broker/shop.password");
        assert_eq!(first.len(), 64);
        assert_eq!(text("shop/admin.password"), first);
        assert_eq!((mode("broker/shop.password"), mode("shop/admin.password")), (0o600, 0o644));

        std::fs::remove_file(dir.path().join("shop/admin.password")).unwrap();
        secret(&system, dir.path(), "broker/shop.password,shop/admin.password:public").unwrap();
        assert_eq!(text("shop/admin.password"), first, "what is there is not replaced");
        secret(&system, dir.path(), "root.key").unwrap();
        assert_ne!(text("root.key"), first);
    }

    #[test]
    fn reads_claims_as_text_or_json() {
        assert_eq!(parse_claim("ref=refs/heads/a=b").unwrap(), ("ref".into(), json!("refs/heads/a=b")));
        assert_eq!(parse_claim("runner_id:=7").unwrap(), ("runner_id".into(), json!(7)));
        assert_eq!(parse_claim("environment:=null").unwrap(), ("environment".into(), Value::Null));
        assert_eq!(parse_claim("note=x:=y").unwrap(), ("note".into(), json!("x:=y")));
        assert!(parse_claim("nothing").is_err());
    }
}

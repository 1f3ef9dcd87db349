//! The verbs of `daypass-broker` beside serving.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::audit::Kind;
use domain::policy::schema;
use domain::refusal::Code;
use domain::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use utoipa::OpenApi;

use super::plain;
use crate::audit::log;
use crate::config::{self, Config};
use crate::crypto::seals;
use crate::http::openapi::Api;
use crate::service::policies::{self, LoadError};
use crate::service::{bearer, operators};
use crate::store::bootstrap::Bootstrap;
use crate::store::{self, Store};
use crate::system::System;

/// How long after its first start an installation may make bootstrap tokens.
const INSTALLING: Duration = Duration::from_hours(1);
/// How long a bootstrap token may be spent.
const BOOTSTRAP_TOKEN: Duration = Duration::from_mins(10);

/// Brings the schema up to date and gives the serving role what it needs.
#[expect(clippy::print_stdout, reason = "the verb's answer")]
pub async fn migrate(url: &str, password_file: Option<&Path>, serving_role: Option<&str>) -> Result<()> {
    store::migrate(url, password_file.map(Path::to_owned).as_ref(), serving_role)
        .await
        .with_context(|| format!("the schema {} cannot be brought up to date", store::place(url)))?;
    println!("the schema is up to date");
    Ok(())
}

/// Makes a new generation of the data key.
#[expect(clippy::print_stdout, reason = "the verb's answer")]
pub async fn rotate_key(file: &Path) -> Result<()> {
    let config = config::load(file)?;
    let (system, store) = open(&config).await?;
    let record = log::own(&system, Kind::KeyRotated)?;
    let generation = store.rotate(|generation| record.field("generation", i64::from(generation.0))).await?;
    println!("generation {} of the data key is active; running brokers move every record to it", generation.0);
    Ok(())
}

/// Prints a single-use token for the first operator.
#[expect(clippy::print_stdout, reason = "the verb's answer")]
pub async fn bootstrap(file: &Path, role: &str) -> Result<()> {
    let config = config::load(file)?;
    let (system, store) = open(&config).await?;
    let set = match config.policy.watched() {
        Some(folder) => policies::load_folder(folder).map_err(|error| unsound(&error))?,
        None => policies::opened(&store, config.policy.path.as_deref()).await.map_err(plain)?,
    };
    if operators::rights_of_role(&set, role).is_empty() {
        bail!("the role {role:?} is not in the policy set or has no operator credential");
    }
    let record = log::own(&system, Kind::OperatorBootstrap)?.field("role", role);
    let token = bearer::new_token(&system, record.id)?;
    let now = system.now();
    if now - store.created_at().await? > INSTALLING {
        bail!("the first hour of this installation is over: reach the role by exchanging a token of its issuer");
    }
    let token_hash = bearer::sha256(token.expose().as_bytes());
    let mut tx = store.begin().await?;
    tx.make_bootstrap(&Bootstrap { token_hash, role: role.to_owned(), created_at: now, expires_at: now + BOOTSTRAP_TOKEN })
        .await?;
    tx.remember(&[record]).await?;
    tx.commit().await?;
    println!("{}", token.expose());
    Ok(())
}

/// Puts a folder's policy set in place of the one that operators pushed.
#[expect(clippy::print_stdout, reason = "the verb's answer")]
pub async fn adopt(file: &Path, folder: &Path) -> Result<()> {
    let config = config::load(file)?;
    if config.policy.watched().is_some() {
        bail!("[policy] source is \"folder\": change that folder");
    }
    let (_, store) = open(&config).await?;
    let hash = policies::adopt(&store, folder).await.map_err(plain)?;
    println!("the policy set {} is active; running brokers follow within 5 seconds", domain::audit::hex(&hash));
    Ok(())
}

/// Asks `/readyz`.
pub async fn healthcheck(address: &str) -> Result<()> {
    let asked = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(3), asked).await;
    let answer = answer.with_context(|| format!("{address} did not answer within 3 s"))?;
    let answer = answer.with_context(|| format!("{address} cannot be asked"))?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("{}", answer.lines().last().unwrap_or("no answer")) }
}

/// Writes the documents that are made from the code into the checkout at `root`.
pub fn generate(root: &Path) -> Result<()> {
    let openapi = Api::openapi().to_pretty_json()? + "\n";
    let schema = serde_json::to_string_pretty(&schema::schema())? + "\n";
    let pages = [
        ("docs/refusals.md", refusals()),
        ("docs/lints.md", domain::policy::lint::page()),
        ("docs/openapi.json", openapi),
        (schema::PATH, schema),
    ];
    for (name, text) in pages {
        let path = root.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

fn refusals() -> String {
    let mut text = "# Refusal codes\n\nEvery refusal has one of these words. They are never renamed or reused. The status is that of the \
                    native doors.\nThis page is generated: `./dev generate`.\n\n| code | status | meaning | what to do |\n|---|---|---|---|\n"
        .to_owned();
    for code in Code::ALL {
        let status = crate::http::status(*code).as_u16();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{code}` | {status} | {} | {} |", code.sentence(), code.remedy());
    }
    text
}

async fn open(config: &Config) -> Result<(System, Store)> {
    let (system, clock) = System::real();
    let store = Store::connect(&config.database, seal(&config.seal)?, system.clone())
        .await
        .with_context(|| format!("the database {} cannot be used", store::place(&config.database.url)))?;
    clock.follow(&store.database_time().await?);
    Ok((system, store))
}

pub(super) fn seal(config: &config::Seal) -> Result<Arc<dyn seals::Seal>> {
    match (&config.file, &config.environment) {
        (Some(file), _) => Ok(Arc::new(seals::File::read(file)?)),
        (None, Some(name)) => Ok(Arc::new(seals::Environment::read(name)?)),
        (None, None) => bail!("[seal] needs exactly one of file and environment"),
    }
}

/// A secret from a file, less one line break at its end.
pub(super) fn secret_file(path: &Path) -> Result<Secret<String>> {
    let text = Secret::new(std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?);
    let trimmed = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    Ok(Secret::from(trimmed.strip_suffix('\r').unwrap_or(trimmed)))
}

/// A load error with every problem on a line of its own.
pub(super) fn unsound(error: &LoadError) -> anyhow::Error {
    match error {
        LoadError::Unsound { path, problems } => {
            let lines: Vec<String> = problems.iter().map(|problem| format!("  - {}/{problem}", path.display())).collect();
            anyhow::anyhow!("{error}:\n{}", lines.join("\n"))
        }
        LoadError::Empty { .. } => anyhow::anyhow!("{error}"),
        LoadError::Read { cause, .. } => anyhow::anyhow!("{error}: {cause}"),
    }
}

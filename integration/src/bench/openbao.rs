//! A peer: OpenBao on this machine, made ready to answer the same tokens with a service token of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::process::{Child, Command};

use super::ground::{Ground, free_address};
use super::http::{Connection, Target, post};
use super::load::Requests;
use super::tokens::{AUDIENCE, ISSUER};

/// Where it keeps things, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the same PostgreSQL server, over plain HTTP.
    Postgres,
    /// In files of its own, over TLS.
    Raft,
}

/// A server that runs, unsealed. It is killed when this is dropped.
#[derive(Debug)]
pub struct OpenBao {
    pub target: Target,
    pub pid: u32,
    _child: Child,
}

impl OpenBao {
    pub async fn start(ground: &Ground, program: &Path, kind: Kind) -> Result<Self> {
        let name = match kind {
            Kind::Postgres => "openbao-postgres",
            Kind::Raft => "openbao-raft",
        };
        let (address, cluster) = (free_address()?, free_address()?);
        let dir = ground.path(name);
        fs::create_dir_all(dir.join("raft"))?;
        let config = dir.join("bao.hcl");
        fs::write(&config, configuration(ground, &dir, kind, address, cluster).await?)?;
        let log = fs::File::create(dir.join("log"))?;
        let mut command = Command::new(program);
        command.args(["server", "-config"]).arg(&config).env_clear().env("HOME", &dir).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let pid = child.id().context("OpenBao ended at once")?;
        let target = ground.target(address, kind == Kind::Raft)?;
        let server = Self { target, pid, _child: child };
        let prepared = server.prepare(ground).await;
        prepared.with_context(|| format!("OpenBao says: {}", fs::read_to_string(dir.join("log")).unwrap_or_default()))?;
        Ok(server)
    }

    /// Logins with one token again and again: OpenBao does not ask whether it was used.
    pub fn logins(&self, ground: &Ground, close: bool) -> Result<std::sync::Arc<Requests>> {
        let body = json!({ "role": "bench", "jwt": ground.signer.token()? }).to_string();
        Ok(Requests::again(post("/v1/auth/jwt/login", &body, close)))
    }

    async fn prepare(&self, ground: &Ground) -> Result<()> {
        let init = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let opened = self.patiently("/v1/sys/init", "", &init).await?;
        let text = |pointer: &str| {
            opened
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .with_context(|| format!("no {pointer} in {opened}"))
        };
        let (key, root) = (text("/keys_base64/0")?, text("/root_token")?);
        self.patiently("/v1/sys/unseal", "", &json!({ "key": key })).await?;
        // With Raft it takes a moment to lead itself.
        self.patiently("/v1/sys/auth/jwt", &root, &json!({ "type": "jwt" })).await?;
        let keys = json!({ "jwt_validation_pubkeys": [ground.signer.public_pem()?], "bound_issuer": ISSUER });
        self.patiently("/v1/auth/jwt/config", &root, &keys).await?;
        let role = json!({
            "role_type": "jwt", "user_claim": "repository", "bound_audiences": [AUDIENCE],
            "bound_claims": {
                "repository_owner_id": "9919", "repository_id": "637712", "ref": "refs/heads/main", "event_name": "push",
                "environment": "production", "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main"
            },
            "token_policies": ["default"], "token_ttl": "15m", "token_type": "service"
        });
        self.patiently("/v1/auth/jwt/role/bench", &root, &role).await?;
        Ok(())
    }

    /// Asks until it is answered well, for some seconds.
    async fn patiently(&self, path: &str, token: &str, body: &Value) -> Result<Value> {
        let mut last = String::new();
        for _ in 0..100 {
            match self.ask(path, token, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{path}: {last}")
    }

    async fn ask(&self, path: &str, token: &str, body: &Value) -> Result<Value> {
        let mut connection = Connection::open(&self.target).await?;
        let body = body.to_string();
        let header = if token.is_empty() { String::new() } else { format!("x-vault-token: {token}\r\n") };
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let status = connection.ask(request.as_bytes()).await?;
        match status {
            200 => Ok(serde_json::from_slice(connection.body())?),
            204 => Ok(Value::Null),
            _ => bail!("{status} {}", String::from_utf8_lossy(connection.body())),
        }
    }
}

async fn configuration(ground: &Ground, dir: &Path, kind: Kind, address: SocketAddr, cluster: SocketAddr) -> Result<String> {
    let scheme = if kind == Kind::Raft { "https" } else { "http" };
    let audit = dir.join("audit.log");
    let (storage, tls) = match kind {
        Kind::Postgres => {
            let mut database = PgConnection::connect(ground.postgres.url("postgres").expose()).await?;
            sqlx::raw_sql(AssertSqlSafe("create database openbao".to_owned())).execute(&mut database).await?;
            let url = ground.postgres.url("openbao");
            let storage = format!("storage \"postgresql\" {{\n  connection_url = \"{}?sslmode=disable\"\n}}", url.expose());
            (storage, "tls_disable = true".to_owned())
        }
        Kind::Raft => {
            let storage = format!("storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"one\"\n}}", dir.join("raft").display());
            let (cert, key) = (ground.path("tls.pem"), ground.path("tls.key"));
            (storage, format!("tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"", cert.display(), key.display()))
        }
    };
    Ok(format!(
        "{storage}\nlistener \"tcp\" {{\n  address = \"{address}\"\n  cluster_address = \"{cluster}\"\n  {tls}\n}}\n\
         audit \"file\" \"file\" {{\n  options = {{\n    file_path = \"{}\"\n  }}\n}}\n\
         api_addr = \"{scheme}://{address}\"\ncluster_addr = \"https://{cluster}\"\nlog_level = \"warn\"\n",
        audit.display()
    ))
}

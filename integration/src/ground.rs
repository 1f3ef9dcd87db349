//! One installation: databases, a folder with configuration, secrets and policies, and the brokers that are started in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sqlx::PgConnection;
use tempfile::TempDir;

use crate::ci::Ci;
use crate::cluster::{Databases, word};
use crate::replica::{PATIENCE, Replica};

/// The repository that this file was built from.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// An installation. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Ground {
    pub databases: Databases,
    pub folder: TempDir,
    pub root_key: String,
}

/// How one broker of an installation differs from the usual.
#[derive(Clone, Debug)]
pub struct Settings {
    /// 0 means any; what a test must know beforehand it chooses.
    pub native: u16,
    pub operator: u16,
    pub metrics: u16,
    pub tls: bool,
    pub level: &'static str,
    pub run: &'static str,
    pub failpoints: String,
    /// The database's port, where it is not the real one.
    pub database_port: Option<u16>,
    /// The database's whole address, where it is not that of the other tests.
    pub database_url: Option<String>,
    /// The target's port, where it is not the real one.
    pub shop_port: Option<u16>,
    /// `[policy]`
    pub policy: &'static str,
    /// More of the configuration.
    pub more: String,
    /// More of the environment.
    pub environment: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            native: 0,
            operator: 0,
            metrics: 0,
            tls: false,
            level: "info",
            run: "all",
            failpoints: String::new(),
            database_port: None,
            database_url: None,
            shop_port: None,
            policy: "source = \"folder\"\npath = \"policies\"",
            more: String::new(),
            environment: Vec::new(),
        }
    }
}

impl Ground {
    /// Everything in place, with the policies of this repository and the shared CI system as their issuer.
    pub async fn new() -> Result<Self> {
        let ground = Self::of(Databases::make().await?)?;
        ground.starter_policies(Ci::shared()?)?;
        Ok(ground)
    }

    /// The folder for these databases, without policies.
    pub fn of(databases: Databases) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ground = Self { databases, folder, root_key: word(32)? };
        for sub in ["secrets", "policies", "policies/cases"] {
            fs::create_dir(ground.path(sub))?;
        }
        ground.secret("root.key", &ground.root_key)?;
        ground.secret("database.password", &ground.databases.serving_password)?;
        ground.secret("shop.password", &ground.databases.admin_password)?;
        Ok(ground)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only the broker may read.
    pub fn secret(&self, name: &str, value: &str) -> Result<()> {
        let path = self.path("secrets").join(name);
        fs::write(&path, value)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// The starter policies, but for the issuers.
    pub fn starter_policies(&self, ci: &Ci) -> Result<()> {
        let from = checkout().join("policies");
        for sub in ["", "cases"] {
            for entry in fs::read_dir(from.join(sub))? {
                let entry = entry?;
                if entry.file_type()?.is_file() && entry.path().extension().is_some_and(|extension| extension == "toml") {
                    fs::copy(entry.path(), self.path("policies").join(sub).join(entry.file_name()))?;
                }
            }
        }
        fs::write(self.path("ca.pem"), &ci.ca)?;
        self.policy("issuers.toml", &ci.policy(&self.path("ca.pem")))
    }

    /// Writes one file of the policy set.
    pub fn policy(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path("policies").join(name), text)?)
    }

    /// Adds to a file of the policy set.
    pub fn add_policy(&self, name: &str, text: &str) -> Result<()> {
        let before = fs::read_to_string(self.path("policies").join(name)).unwrap_or_default();
        self.policy(name, &(before + "\n" + text))
    }

    /// Writes the configuration of one broker and says where it is.
    pub fn configure(&self, settings: &Settings) -> Result<PathBuf> {
        let databases = &self.databases;
        let Settings { native, operator, metrics, level, policy, more, .. } = settings;
        let mut tls = "";
        if settings.tls {
            self.certificate()?;
            tls = "tls = { cert = \"secrets/tls.pem\", key = \"secrets/tls.key\" }\n";
        }
        let port = settings.database_port.unwrap_or(databases.port());
        let usual = || databases.url_at(port, &databases.serving_role(), &databases.broker());
        let database = settings.database_url.clone().unwrap_or_else(usual);
        let shop = databases.url_at(settings.shop_port.unwrap_or(databases.port()), &databases.admin(), &databases.shop());
        let group = databases.group();
        let text = format!(
            "[listen]\nnative = \"127.0.0.1:{native}\"\noperator = \"127.0.0.1:{operator}\"\nmetrics = \"127.0.0.1:{metrics}\"\n{tls}\n\
             [database]\nurl = \"{database}\"\npassword_file = \"secrets/database.password\"\n\n\
             [seal]\nfile = \"secrets/root.key\"\n\n\
             [policy]\n{policy}\n\n\
             [limits]\nconnections_per_address = 4096\n\n\
             [telemetry]\nlevel = \"{level}\"\n\n\
             [connection.shop]\nengine = \"postgres\"\nurl = \"{shop}\"\npassword_file = \"secrets/shop.password\"\n\
             allowed_roles = [\"shop-*\"]\n\n\
             [connection.shop.statements.readwrite]\ncreate = [\"grant {group} to {{{{name}}}}\"]\n\n{more}\n"
        );
        let path = self.path(&format!("daypass-{}.toml", word(4)?));
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes a certificate for the brokers: a new one each time.
    pub fn certificate(&self) -> Result<()> {
        let leaf = Ci::shared()?.authority.leaf(&["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        self.secret("tls.key", leaf.key.expose())?;
        self.secret("tls.pem", &leaf.certificate)
    }

    /// Starts a broker and waits until it is ready.
    pub async fn start(&self) -> Result<Replica> {
        self.start_with(&Settings::default()).await
    }

    pub async fn start_with(&self, settings: &Settings) -> Result<Replica> {
        let mut replica = self.spawn(settings)?;
        replica.ready().await?;
        Ok(replica)
    }

    /// The same, and waits until it has the CI system's keys: it is ready before that, and on a busy machine long before.
    pub async fn start_with_keys(&self, settings: &Settings) -> Result<Replica> {
        let replica = self.start_with(settings).await?;
        let stranger = Ci::shared()?.github(&serde_json::json!({ "repository_id": "1" }))?;
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = replica.native.exchange(&stranger, serde_json::json!({ "role": "shop-deploy-prod" })).await?;
            if answer.status == 403 {
                return Ok(replica);
            }
            anyhow::ensure!(std::time::Instant::now() < until, "it never had the keys: {answer:?}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// Starts a broker that need not get ready.
    pub fn spawn(&self, settings: &Settings) -> Result<Replica> {
        Replica::spawn(&self.configure(settings)?, settings)
    }

    /// Stores a secret as an operator would, through a broker.
    pub async fn store_secret(&self, replica: &Replica, path: &str, data: &serde_json::Value) -> Result<()> {
        let session = self.operator(replica).await?;
        let body = serde_json::json!({ "data": data });
        let answer = replica.operator.ask("PUT", &format!("/api/v1/secrets/{path}"), Some(&session), Some(&body)).await?;
        anyhow::ensure!(answer.status == 200, "the secret was not stored: {answer:?}");
        Ok(())
    }

    /// The session token of an operator.
    pub async fn operator(&self, replica: &Replica) -> Result<String> {
        let token = Ci::shared()?.github(&operator_claims())?;
        let granted = replica.native.exchange(&token, serde_json::json!({ "role": "operators" })).await?.granted()?;
        granted.session.token.context("no session token")
    }

    /// Tries a leased login.
    pub async fn login(&self, values: &std::collections::BTreeMap<String, String>) -> Result<PgConnection, sqlx::Error> {
        let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
        self.databases.login(value("username"), value("password"), &self.databases.shop()).await
    }
}

/// The claims of a job that becomes an operator.
pub fn operator_claims() -> serde_json::Value {
    serde_json::json!({
        "repository": "acme/platform", "repository_id": "640001", "event_name": "workflow_dispatch",
        "environment": "broker-operators",
    })
}

/// The claims of a job that may deploy the shop.
pub fn deploy_claims() -> serde_json::Value {
    serde_json::json!({ "environment": "production" })
}

//! The CI issuer that all tests of a process share: keys take long to make.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, anyhow};
use broker::dev::authority::Authority;
use broker::dev::issuer::{Issuer, Kind};
use broker::system::System;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The audience of every test's broker.
pub const AUDIENCE: &str = "https://daypass.test";

/// A CI system: issuer, authority, address.
#[derive(Debug)]
pub struct Ci {
    pub issuer: Arc<Issuer>,
    pub authority: Authority,
    /// The authority's certificate, PEM.
    pub ca: String,
    /// `https://localhost:PORT`
    pub base: String,
    /// Where it really listens.
    pub address: SocketAddr,
}

impl Ci {
    /// The one of this process; it serves until the process ends.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Ci, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(None).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// Another one, which is reached at `base` instead of its own address, if that is given.
    pub fn start(base: Option<&str>) -> Result<Self> {
        broker::app::install_providers();
        let (system, _) = System::real();
        let folder = tempfile::tempdir()?;
        let authority = Authority::open(&system, folder.path())?;
        let ca = std::fs::read_to_string(authority.ca_file())?;
        let leaf = authority.leaf(&["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let base = base.map_or_else(|| format!("https://localhost:{}", address.port()), str::to_owned);
        let issuer = Issuer::open(&system, folder.path(), &base)?;
        let serving = Arc::clone(&issuer);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                serving.serve(listener, &leaf, CancellationToken::new()).await
            })
        });
        Ok(Self { issuer, authority, ca, base, address })
    }

    /// A token of a GitHub job, for our audience. A stated `null` leaves a claim out.
    pub fn github(&self, claims: &Value) -> Result<String> {
        self.token(Kind::Github, claims)
    }

    pub fn gitlab(&self, claims: &Value) -> Result<String> {
        self.token(Kind::Gitlab, claims)
    }

    pub fn token(&self, kind: Kind, claims: &Value) -> Result<String> {
        let claims = claims.as_object().context("claims are an object")?;
        Ok(self.issuer.token(kind, claims, Some(AUDIENCE))?.expose().clone())
    }

    /// `[issuer.…]` of a policy set that believes this CI system, reached at its base.
    pub fn policy(&self, ca_file: &Path) -> String {
        let base = &self.base;
        let common = format!("audience = \"{AUDIENCE}\"\nca_file = \"{}\"\nallow_private_network = true\n", ca_file.display());
        format!(
            "[issuer.github]\nkind = \"github\"\nurl = \"{base}/_services/token\"\n{common}\n\
             [issuer.gitlab]\nkind = \"gitlab\"\nurl = \"{base}\"\n{common}\n\
             [issuer.deploy-service]\nkind = \"generic\"\nurl = \"{base}/deploy\"\n{common}\
             required = [\"sub\", \"service_id\"]\nreplay_claim = \"jti\"\nmax_token_age = \"10m\"\n\
             [issuer.deploy-service.claims]\nsub = {{ class = \"admin\" }}\nservice_id = {{ class = \"immutable\" }}\n\
             environment = {{ class = \"admin\", presence = \"optional\", case = \"fold-ascii\" }}\n\
             run_id = {{ class = \"writer\", presence = \"optional\" }}\n\
             [issuer.deploy-service.job]\nproject = \"service_id\"\nproject_name = \"sub\"\nenvironment = \"environment\"\n\
             run = \"run_id\"\n"
        )
    }
}

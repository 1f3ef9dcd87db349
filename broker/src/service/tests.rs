//! The services against a real PostgreSQL, an issuer whose keys lie in a file, and a target that does what a test tells it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use domain::credentials::database;
use domain::policy::{PolicySet, SourceFile};
use domain::refusal::Code;
use domain::secret::Secret;
use domain::wire::{AuditEntry, AuditQuery};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use uuid::Uuid;

use super::error::Error;
use super::exchange::{Ask, Exchange, Further, Granted};
use super::leases::Leases;
use super::limiter::{self, Limiter};
use super::policies::Policies;
use super::rooms::Rooms;
use super::sessions::Sessions;
use crate::crypto::jws::tests::{Signer, jwks};
use crate::engines::Engines;
use crate::engines::engine::{self, Bench, Engine, EngineError, Found, Issued, Order, Plan, Revoked};
use crate::oidc::keys::KeyCache;
use crate::oidc::{Verifier, trust};
use crate::outbound::Outbound;
use crate::service::denials::Denials;
use crate::store::Store;
use crate::store::tests::open;
use crate::telemetry::{self, Telemetry};

mod decisions;
mod exchange;
mod hooks;
mod inventory;
mod kill;
mod looking;
mod meanwhile;
mod operators;
mod reached;
mod reconciling;
mod renewing;
mod switches;

mod taking_back;
mod upkeep;
mod versions;
mod watching;

const URL: &str = "https://ci.example.test";

/// A target whose behaviour a test chooses.
#[derive(Clone, Debug, Default)]
struct Target {
    made: Arc<AtomicU32>,
    renewals: Arc<AtomicU32>,
    mood: Arc<AtomicU8>,
    /// What it lists, by name.
    logins: Arc<Mutex<BTreeMap<String, Found>>>,
}

impl Target {
    const REFUSES: u8 = 1;
    const SILENT: u8 = 2;
    const PANICS: u8 = 3;
    /// Makes nothing, and takes back what it is asked to.
    const FAILS: u8 = 4;
    /// Its credentials cannot be taken back and end after a minute.
    const FLEETING: u8 = 5;
    /// A renewal that comes to it hears nothing until it refuses.
    const LATE: u8 = 6;
    /// Lists for ever, and does everything else.
    const LISTS: u8 = 7;
    /// Makes nothing until its mood is another one.
    const SLOW: u8 = 8;

    fn mood(&self, mood: u8) {
        self.mood.store(mood, Ordering::Relaxed);
    }
}

impl Engine for Target {
    const NAME: &'static str = "postgres";
    const ORDER: Order = Order::Revocable;
    type Params = database::Params;

    async fn plan(&self, bench: &Bench, ask: &engine::Ask<'_, Self::Params>) -> Result<Plan, EngineError> {
        Ok(Plan {
            upstream: Some(crate::engines::login_name(&bench.deployment, ask.lease_id)?),
            connection: Some(ask.params.connection.clone()),
            handle: Secret::new(if ask.params.connection == "sick" { b"sick".to_vec() } else { b"undo".to_vec() }),
            revocable: self.mood.load(Ordering::Relaxed) != Self::FLEETING,
            leased: true,
        })
    }

    async fn issue(&self, bench: &Bench, ask: &engine::Ask<'_, Self::Params>, _: &Plan) -> Result<Issued, EngineError> {
        let mood = self.mood.load(Ordering::Relaxed);
        if mood == Self::FAILS {
            return Err(EngineError::TargetUnavailable("not now".to_owned()));
        }
        while self.mood.load(Ordering::Relaxed) == Self::SLOW {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let native_expiry = (mood == Self::FLEETING).then(|| bench.system.now() + Duration::from_mins(1));
        self.made.fetch_add(1, Ordering::Relaxed);
        let values = BTreeMap::from([("password".to_owned(), Secret::new(format!("made-{}", ask.lease_id)))]);
        Ok(Issued { values, native_expiry, facts: BTreeMap::new() })
    }

    async fn renew(&self, _: &Bench, _: &Secret<Vec<u8>>, _: time::OffsetDateTime) -> Result<(), EngineError> {
        let mood = self.mood.load(Ordering::Relaxed);
        self.renewals.fetch_add(1, Ordering::Relaxed);
        while mood == Self::LATE && self.mood.load(Ordering::Relaxed) != Self::REFUSES {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match self.mood.load(Ordering::Relaxed) {
            Self::REFUSES => Err(EngineError::TargetRefused("the login is not there any more".to_owned())),
            _ => Ok(()),
        }
    }

    async fn list(&self, _: &Bench, _: &str) -> Result<Option<Vec<Found>>, EngineError> {
        match self.mood.load(Ordering::Relaxed) {
            Self::SILENT => return Err(EngineError::TargetUnavailable("nobody answers".to_owned())),
            Self::REFUSES => return Err(EngineError::TargetRefused("not for you".to_owned())),
            Self::LISTS => std::future::pending().await,
            _ => {}
        }
        Ok(Some(self.logins.lock().unwrap().values().cloned().collect()))
    }

    async fn shut(&self, _: &Bench, handle: &Secret<Vec<u8>>) -> Result<bool, EngineError> {
        let name = String::from_utf8(handle.expose().clone()).unwrap();
        Ok(self.logins.lock().unwrap().get_mut(&name).map(|found| found.open = false).is_some())
    }

    async fn revoke(&self, _: &Bench, handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        if handle.expose() == b"sick" {
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Err(EngineError::TargetUnavailable("nobody answers".to_owned()));
        }
        self.logins.lock().unwrap().remove(&String::from_utf8(handle.expose().clone()).unwrap());
        match self.mood.load(Ordering::Relaxed) {
            Self::REFUSES => Err(EngineError::TargetRefused("not my role".to_owned())),
            Self::PANICS => panic!("a defect of the engine"),
            Self::SILENT => Err(EngineError::TargetUnavailable("nobody answers".to_owned())),
            _ => Ok(Revoked::Gone),
        }
    }
}

/// A whole broker but for its doors.
struct House {
    rooms: Arc<Rooms>,
    exchange: Exchange,
    sessions: Sessions,
    keys: Arc<KeyCache>,
    signer: Signer,
    target: Target,
    worker: tokio::task::JoinHandle<()>,
    folder: TempDir,
}

/// The policy of the tests: one issuer by this name, and the roles that follow.
fn policy(issuer: &str, url: &str, roles: &str) -> PolicySet {
    let files = vec![SourceFile { path: "policy.toml".to_owned(), text: policy_text(issuer, url, roles) }];
    PolicySet::load(files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn policy_text(issuer: &str, url: &str, roles: &str) -> String {
    format!(
        r#"
        [issuer.{issuer}]
        kind = "generic"
        url = "{url}"
        audience = "https://broker.test"
        jwks_file = "keys.json"
        algorithms = ["ES256"]
        required = ["sub", "service_id"]
        replay_claim = "jti"
        person = "sub"
        [issuer.{issuer}.claims]
        sub = {{ class = "admin" }}
        service_id = {{ class = "immutable" }}
        lane = {{ class = "writer", presence = "optional" }}
        by = {{ class = "anyone", presence = "optional", personal = true }}
        [issuer.{issuer}.job]
        project = "service_id"
        {roles}
        "#
    )
}

fn role(name: &str, more: &str, credential: &str) -> String {
    format!(
        "[role.{name}]\nttl = \"10m\"\n{more}\n[[role.{name}.allow]]\nissuer = \"ci\"\nservice_id = \"s1\"\nsub = \"{name}\"\nwaive = {{ no-code-gate = \"a test\" }}\n\
         [role.{name}.credential.it]\n{credential}\n"
    )
}

fn database(name: &str, more: &str) -> String {
    role(name, more, "engine = \"postgres\"\nconnection = \"shop\"\nstatements = \"rw\"")
}

impl House {
    async fn build(pool: &PgPool, roles: &str) -> Self {
        Self::limited(pool, roles, limiter::Config::default()).await
    }

    async fn limited(pool: &PgPool, roles: &str, rate: limiter::Config) -> Self {
        let begin =
            async |store: &Store, _: &TempDir| Policies::begin(store.clone(), policy("ci", URL, roles), "test").await.unwrap();
        Self::of(pool, rate, begin).await
    }

    /// With the set that `begin` has from the store or the folder.
    async fn of(pool: &PgPool, rate: limiter::Config, begin: impl AsyncFnOnce(&Store, &TempDir) -> Policies) -> Self {
        let store: Store = open(pool).await;
        let (folder, signer) = (tempfile::tempdir().unwrap(), Signer::new("k"));
        let file = folder.path().join("keys.json");
        std::fs::write(&file, jwks(&[signer.jwk()])).unwrap();
        let system = store.system().clone();
        let policies = begin(&store, &folder).await;
        let set = policies.active();
        let keys = Arc::new(KeyCache::new(system.clone(), Outbound::default(), None));
        let mut sources = trust::sources(&set).unwrap();
        for source in &mut sources {
            source.place = crate::oidc::keys::Place::File(file.clone());
        }
        keys.configure(sources);
        keys.refresh_all().await;
        let quiet = telemetry::Config { level: "off".to_owned(), ..telemetry::Config::default() };
        let metrics = Telemetry::start(&quiet, "test").unwrap().metrics;
        let target = Target::default();
        let engines = Arc::new(Engines::default().with(target.clone()).with(crate::engines::kv::Kv));
        let bench = Bench {
            system: system.clone(),
            deployment: store.deployment_tag(),
            connections: store.connections().clone(),
            secrets: store.secrets().clone(),
        };
        let rooms = Arc::new(Rooms {
            policies,
            verifier: Verifier::new(system.clone(), keys.clone(), Duration::from_secs(30)),
            limiter: Limiter::new(rate),
            denials: Denials::new(system.clone(), store.clone(), metrics.clone()),
            leases: Leases::new(system.clone(), store.clone(), engines.clone(), bench.clone(), metrics.clone()).unwrap(),
            hooks: super::hooks::Keys::default(),
            stops: crate::service::stops::Stops::new(store.clone()),
            engines,
            bench,
            store,
            metrics,
            system,
            leases_per_session: 100,
        });
        let leases = rooms.leases.clone();
        let worker = tokio::spawn(async move {
            while leases.take_back_due().await.is_ok() && leases.expire_passive().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let (exchange, sessions) = (Exchange::new(rooms.clone()), Sessions::new(rooms.clone()));
        Self { rooms, exchange, sessions, keys, signer, target, worker, folder }
    }

    /// Lets the database of the test go.
    async fn close(&self) {
        self.worker.abort();
        self.rooms.leases.settle().await;
        self.rooms.store.close().await;
    }

    /// A record that says nothing in particular.
    fn remark(&self) -> domain::audit::Record {
        crate::audit::log::own(&self.rooms.system, domain::audit::Kind::BrokerStarted).unwrap()
    }

    fn id(&self) -> Uuid {
        self.rooms.system.row_id().unwrap()
    }

    /// What a lease's login is called.
    fn login_of(&self, lease: Uuid) -> String {
        crate::engines::login_name(&self.rooms.store.deployment_tag(), lease).unwrap()
    }

    /// A fresh token of the service that may become the role of its own name.
    fn token(&self, sub: &str) -> Secret<String> {
        let now = self.rooms.system.now().unix_timestamp();
        let claims = json!({"iss": URL, "aud": "https://broker.test", "sub": sub, "service_id": "s1", "by": "sidney",
            "jti": self.id().to_string(),
            "iat": now, "nbf": now, "exp": now + 300});
        Secret::new(self.signer.token(&claims))
    }

    fn ask(&self, token: &Secret<String>) -> Ask {
        Ask {
            decision: self.id(),
            token: token.clone(),
            role: None,
            credentials: Vec::new(),
            ttl: None,
            idempotency: None,
            session_only: false,
        }
    }

    fn further(&self) -> Further {
        Further { decision: self.id(), credentials: Vec::new(), ttl: None, inputs: BTreeMap::new() }
    }

    async fn exchange(&self, ask: Ask) -> Result<Granted, Code> {
        self.exchange.exchange(ask).await.map_err(code)
    }

    async fn audit(&self, kind: &str) -> Vec<AuditEntry> {
        let query = AuditQuery { kind: Some(kind.to_owned()), ..AuditQuery::default() };
        self.rooms.store.audit(&query).await.unwrap().iter().map(crate::store::audit::Stored::entry).collect()
    }

    async fn states(&self, session: Uuid) -> Vec<domain::lease::State> {
        self.rooms.leases.of_session(session).await.unwrap().iter().map(|lease| lease.state).collect()
    }
}

fn code(error: Error) -> Code {
    match error {
        Error::Refused(refusal) => refusal.code,
        Error::Fault(fault) => panic!("{}", fault.chain()),
    }
}

fn token_of(granted: &Granted) -> &str {
    granted.session_token.as_ref().unwrap().expose()
}

fn stored(value: Value) -> domain::wire::SecretWrite {
    domain::wire::SecretWrite { data: value, cas: None, metadata: None }
}

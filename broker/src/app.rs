//! The one file that knows every room: it puts them together, starts them and stops them in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use domain::audit::Kind;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::log;
use crate::config::{self, Config};
use crate::engines;
use crate::engines::engine::Bench;
use crate::http::edge::{Edge, EdgeLimits};
use crate::http::layers::{Door, guarded, watched};
use crate::http::tls::Certificate;
use crate::http::{admin, hooks as hooks_door, native, openapi, ops};
use crate::oidc::Verifier;
use crate::oidc::keys::KeyCache;
use crate::outbound::Outbound;
use crate::service::decisions::Decisions;
use crate::service::denials::Denials;
use crate::service::exchange::Exchange;
use crate::service::explain::Explain;
use crate::service::hold::Holds;
use crate::service::hooks::{Hooks, Keys as HookKeys};
use crate::service::inventory::Inventory;
use crate::service::job_ends::JobEnds;
use crate::service::leases::Leases;
use crate::service::limiter::Limiter;
use crate::service::operators::Operators;
use crate::service::policies::{Keeper, Versions};
use crate::service::readiness::{Readiness, Reason};
use crate::service::reconcile::Reconcile;
use crate::service::rooms::Rooms;
use crate::service::sessions::Sessions;
use crate::service::shelf::Shelf;
use crate::service::stops::Stops;
use crate::service::switches::Switches;
use crate::service::upkeep::Upkeep;
use crate::service::{audit, secrets};
use crate::store::Store;
use crate::system::{FollowingClock, System};
use crate::telemetry::{Telemetry, chain};
use crate::workers::worker::start;
use crate::workers::{
    ClockWatch, ConnectionWatch, Expiry, HoldWatch, JobEndings, KeyFetch, KeyHealth, PassiveExpiry, PolicyWatch, Reconciler,
    Sealer, StopSweep, StopWatch, Sweep, TallyFlush,
};

mod check;
mod ground;
mod hooks;
mod signals;
mod tools;

pub use check::check;
use ground::Ground;
pub use signals::hangups;
use signals::{reload_on_signal, stop_on_signal};
pub use tools::{adopt, bootstrap, generate, healthcheck, migrate, rotate_key};

/// How long a start waits for the issuers' keys.
const FIRST_KEYS: Duration = Duration::from_secs(3);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Run {
    /// Answer requests.
    Front,
    /// Take leases back and keep things in order.
    Worker,
    /// Both.
    All,
}

/// Names the one provider of TLS and signatures. First thing in a process.
pub fn install_providers() {
    // A second call finds the same provider in place.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Serves until SIGTERM or SIGINT.
pub async fn serve(file: &Path, run: Run) -> Result<()> {
    let hangup = hangups()?;
    let config = config::load(file)?;
    let telemetry = Telemetry::start(&config.telemetry, VERSION)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let served = House::build(&config, &telemetry, run, System::real(), &stop).await;
    if let Ok(Some(house)) = served {
        house.live(file, hangup, stop).await;
    } else {
        served?;
    }
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    Ok(())
}

/// A broker put together, with its listeners bound.
#[derive(Debug)]
pub struct House {
    run: Run,
    rooms: Arc<Rooms>,
    keys: Arc<KeyCache>,
    upkeep: Upkeep,
    job_ends: JobEnds,
    reconcile: Reconcile,
    keeper: Keeper,
    readiness: Readiness,
    certificate: Option<Arc<Certificate>>,
    ops: Ops,
    edges: Vec<Edge>,
    limits: EdgeLimits,
}

/// The metrics listener, answering from the first moment of a start to the last of a stop.
#[derive(Debug)]
struct Ops {
    address: SocketAddr,
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl Ops {
    fn open(edge: Edge) -> Result<Self> {
        let (address, stop) = (edge.listener.local_addr()?, CancellationToken::new());
        Ok(Self { address, serving: tokio::spawn(edge.serve(stop.clone())), stop })
    }

    async fn close(self) {
        self.stop.cancel();
        let _ = self.serving.await;
    }
}

impl House {
    /// Builds it all, waiting for a database that does not answer yet. `None` when told to stop meanwhile.
    pub async fn build(
        config: &Config,
        telemetry: &Telemetry,
        run: Run,
        (system, clock): (System, Arc<FollowingClock>),
        stop: &CancellationToken,
    ) -> Result<Option<Self>> {
        let metrics = telemetry.metrics.clone();
        let Ground { set, connections, hooks } = Ground::read(config)?;
        let certificate = match &config.listen.tls {
            Some(tls) => Some(Arc::new(Certificate::load(&tls.cert, &tls.key, tls.min_version == config::TlsVersion::V12)?)),
            None => None,
        };
        let readiness = Readiness::default();
        let config::Limits { connections: open, connections_per_address: per_address, drain, .. } = config.limits;
        let limits = EdgeLimits { connections: open, per_address, drain, ..EdgeLimits::default() };
        let edge = |name, listener, tls, router| Edge { name, listener, tls, router, limits, metrics: metrics.clone() };
        // The metrics listener answers while the rest still waits for its database.
        let listener = bind("metrics", config.listen.metrics).await?;
        let ops = Ops::open(edge("metrics", listener, None, ops::router(telemetry.registry.clone(), readiness.clone())))?;

        let Some(store) = open_store(config, &system, stop).await? else { return Ok(None) };
        let look = store.database_time().await?;
        clock.follow(&look);
        ground::adopt(&store, &connections).await?;
        let policies = ground::policies(&store, config, set).await?;
        let sources = ground::sources(config, &policies.active()).await?;

        let outbound = Outbound::default();
        let keys = Arc::new(KeyCache::new(system.clone(), outbound, Some(Arc::new(Shelf(store.clone())))));
        keys.configure(sources);
        let engines = Arc::new(engines::all(&config.engines)?);
        let bench = Bench {
            system: system.clone(),
            deployment: store.deployment_tag(),
            connections: store.connections().clone(),
            secrets: store.secrets().clone(),
        };
        let rooms = Arc::new(Rooms {
            verifier: Verifier::new(system.clone(), keys.clone(), config.verify.leeway),
            limiter: Limiter::new(config.limits.rate),
            denials: Denials::new(system.clone(), store.clone(), metrics.clone()),
            leases: Leases::new(system.clone(), store.clone(), engines.clone(), bench.clone(), metrics.clone())?,
            hooks: HookKeys::new(hooks),
            stops: Stops::new(store.clone()),
            policies,
            engines,
            bench,
            store: store.clone(),
            metrics: metrics.clone(),
            system: system.clone(),
            leases_per_session: config.limits.leases_per_session,
        });
        let upkeep = Upkeep::new(rooms.clone(), clock, keys.clone(), readiness.clone());
        upkeep.begin_clock(&look);
        let job_ends = JobEnds::new(rooms.clone());
        rooms.stops.follow().await.map_err(plain)?;
        let keeper = Keeper::new(rooms.clone(), keys.clone(), readiness.clone(), config.policy.place());
        let holds = Holds::new(system.clone(), store.clone(), metrics.clone(), readiness.clone());
        let reconcile = Reconcile::new(rooms.clone(), holds, config.reconcile.every, config.reconcile.grace);
        remember_start(&rooms, run).await?;

        let mut edges = Vec::new();
        if run != Run::Worker {
            let door_for = |large| {
                Arc::new(Door {
                    system: system.clone(),
                    metrics: metrics.clone(),
                    in_flight: Arc::new(Semaphore::new(config.limits.in_flight)),
                    deadline: Duration::from_secs(10),
                    large,
                })
            };
            let door = || door_for(None);
            let sessions = Sessions::new(rooms.clone());
            let native = native::Native {
                exchange: Exchange::new(rooms.clone()),
                sessions: sessions.clone(),
                leases: rooms.leases.clone(),
                inventory: Inventory::new(rooms.clone()),
            };
            let admin = admin::Admin {
                sessions,
                operators: Operators::new(rooms.clone()),
                secrets: secrets::Secrets::new(rooms.clone()),
                audit: audit::Audit::new(rooms.clone()),
                decisions: Decisions::new(rooms.clone()),
                explain: Explain::new(rooms.clone()),
                inventory: Inventory::new(rooms.clone()),
                reconcile: reconcile.clone(),
                versions: Versions::new(rooms.clone(), keeper.clone()),
                switches: Switches::new(rooms.clone()),
            };
            let native = native::router(native).merge(admin::secrets_of_jobs(admin.clone())).merge(openapi::router());
            // Deliveries take nobody else's place.
            let hooks = Hooks::new(rooms.clone(), job_ends.clone());
            let hooks = watched(hooks_door::router(hooks.clone()), door_for(Some(hooks_door::bodies(hooks))));
            let native = guarded(native, door()).merge(hooks).merge(ops::health(readiness.clone()));
            let policies = watched(admin::policies_of_operators(admin.clone()), door_for(Some(admin::sets(admin.clone()))));
            let admin = guarded(admin::router(admin).merge(openapi::router()), door());
            let admin = admin.merge(policies).merge(ops::health(readiness.clone()));
            edges.push(edge("native", bind("native", config.listen.native).await?, certificate.clone(), native));
            edges.push(edge("operator", bind("operator", config.listen.operator).await?, certificate.clone(), admin));
        }
        Ok(Some(Self { run, rooms, keys, upkeep, job_ends, reconcile, keeper, readiness, certificate, ops, edges, limits }))
    }

    /// Where each listener really is, by name: a port of 0 in the configuration means any.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let edges = self.edges.iter().filter_map(|edge| Some((edge.name, edge.listener.local_addr().ok()?)));
        edges.chain([("metrics", self.ops.address)]).collect()
    }

    /// Serves until `stop`, then: no new connections, open requests to their end, workers to theirs, the pool last.
    pub async fn live(self, file: &Path, hangup: Signal, stop: CancellationToken) {
        let doors = TaskTracker::new();
        tracing::info!(listener = "metrics", address = %self.ops.address, "listening");
        for edge in self.edges {
            if let Ok(address) = edge.listener.local_addr() {
                tracing::info!(listener = edge.name, %address, "listening");
            }
            doors.spawn(edge.serve(stop.clone()));
        }
        let (working, workers) = (TaskTracker::new(), CancellationToken::new());
        let (rooms, metrics) = (&self.rooms, &self.rooms.metrics);
        let upkeep = || self.upkeep.clone();
        start(ClockWatch { upkeep: upkeep() }, metrics, &workers, &working);
        start(ConnectionWatch { upkeep: upkeep() }, metrics, &workers, &working);
        start(StopWatch { stops: rooms.stops.clone() }, metrics, &workers, &working);
        start(StopSweep { stops: rooms.stops.clone() }, metrics, &workers, &working);
        start(PolicyWatch { keeper: self.keeper.clone() }, metrics, &workers, &working);
        let tally = TallyFlush { denials: rooms.denials.clone(), limiter: rooms.limiter.clone() };
        start(tally, metrics, &workers, &working);
        if self.run == Run::Front {
            start(HoldWatch { holds: self.reconcile.holds.clone() }, metrics, &workers, &working);
        } else {
            take_back(self.rooms.clone(), self.reconcile.clone(), workers.clone(), &working);
            start(JobEndings { ends: self.job_ends.clone() }, metrics, &workers, &working);
            start(Sweep { upkeep: upkeep() }, metrics, &workers, &working);
            start(Sealer { upkeep: upkeep() }, metrics, &workers, &working);
        }
        if self.run != Run::Worker {
            // An issuer that does not answer must not keep the others' jobs waiting.
            if tokio::time::timeout(FIRST_KEYS, self.keys.refresh_all()).await.is_err() {
                tracing::warn!("not every issuer has given its keys yet; fetching goes on");
            }
            self.upkeep.refresh_keys();
            start(KeyFetch { upkeep: upkeep() }, metrics, &workers, &working);
            start(KeyHealth { upkeep: upkeep() }, metrics, &workers, &working);
        }
        let (keys, keeper) = (self.keys.clone(), self.keeper.clone());
        let reloading = reload_on_signal(hangup, file.to_owned(), rooms.clone(), keys, keeper, self.certificate.clone());
        let reloading = tokio::spawn(reloading);
        self.readiness.set(Reason::Starting, false);
        tracing::info!(version = VERSION, run = ?self.run, "ready");

        stop.cancelled().await;
        tracing::info!("stopping");
        self.readiness.set(Reason::Stopping, true);
        reloading.abort();
        // Requests that give leases back wait for the workers: they go on until the last door is shut.
        doors.close();
        let patience = self.limits.drain + Duration::from_secs(5);
        let late = tokio::time::timeout(patience, doors.wait()).await.is_err();
        workers.cancel();
        working.close();
        let ended = async {
            working.wait().await;
            self.rooms.leases.settle().await;
        };
        if tokio::time::timeout(Duration::from_secs(5), ended).await.is_err() || late {
            tracing::warn!("stopped before everything had finished; the sweep of another replica goes on");
        }
        if let Err(error) = self.rooms.denials.flush().await {
            tracing::warn!(?error, "counts of refusals were lost at the end");
        }
        self.rooms.store.close().await;
        self.ops.close().await;
        tracing::info!("stopped");
    }
}

/// Begins to take leases back. A database that was brought back from a backup is noticed before its word is taken for it.
fn take_back(rooms: Arc<Rooms>, reconcile: Reconcile, stop: CancellationToken, working: &TaskTracker) {
    let tracker = working.clone();
    working.spawn(async move {
        reconcile.first_look().await;
        let expiry = Expiry { leases: rooms.leases.clone(), holds: reconcile.holds.clone() };
        let passive = PassiveExpiry { leases: rooms.leases.clone(), holds: reconcile.holds.clone() };
        start(passive, &rooms.metrics, &stop, &tracker);
        start(expiry, &rooms.metrics, &stop, &tracker);
        start(Reconciler { reconcile: reconcile.clone() }, &rooms.metrics, &stop, &tracker);
        stop.run_until_cancelled(reconcile.look_further()).await;
    });
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("[listen] {name} = \"{address}\" cannot be bound"))
}

/// Connects, trying again while the database does not answer. What waiting cannot mend ends the start.
async fn open_store(config: &Config, system: &System, stop: &CancellationToken) -> Result<Option<Store>> {
    let mut wait = Duration::from_millis(250);
    loop {
        match Store::connect(&config.database, tools::seal(&config.seal)?, system.clone()).await {
            Ok(store) => return Ok(Some(store)),
            Err(error) if error.is_passing() => {
                tracing::warn!(error = chain(&error), "the database does not answer yet; trying again");
            }
            Err(error) => return Err(error).context("the database cannot be used"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
        }
    }
}

async fn remember_start(rooms: &Rooms, run: Run) -> Result<()> {
    let record = log::own(&rooms.system, Kind::BrokerStarted)?
        .field("version", VERSION)
        .field("run", format!("{run:?}").to_lowercase().as_str());
    rooms.store.remember(record).await.map_err(|error| anyhow::anyhow!("the start cannot be recorded: {error}"))?;
    Ok(())
}

fn plain(error: crate::service::error::Error) -> anyhow::Error {
    match error {
        crate::service::error::Error::Refused(refusal) => anyhow::Error::new(refusal),
        crate::service::error::Error::Fault(fault) => anyhow::anyhow!(fault.chain()),
    }
}

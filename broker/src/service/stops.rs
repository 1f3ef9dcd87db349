//! The kill switch: exchanges that operators have stopped. Every replica reads the list every other second and refuses what
//! it meets before anything is made; what slipped through in between is ended by the sweeps after a stop. Nobody decides by a
//! list that has not been read for long, because the database was cut off: it is read anew first, or nothing is given.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use domain::audit::Kind;
use domain::claims::{Claims, Json};
use domain::credentials::kv;
use domain::policy::Allowed;
use domain::refusal::{Code, Refusal};
use domain::wire::StopFilter;
use uuid::Uuid;

use super::error::Error;
use super::sessions::Holder;
use super::subject::Subject;
use crate::audit::log;
use crate::store::stops::Stop;
use crate::store::{Store, StoreError};

/// A stop is swept to its end once more after so long: a replica that had not read it may have opened sessions, and an exchange takes
/// no longer than the door's deadline.
const SWEPT: Duration = Duration::from_secs(30);
/// How old the list may be that decides. An operator is told that a stop holds everywhere within half of it; a database that goes
/// over to its standby has time to do so.
const OLDEST: Duration = Duration::from_secs(10);
/// Sessions ended in one round.
const BATCH: i64 = 200;

/// The stops of now.
#[derive(Clone, Debug)]
pub struct Stops {
    store: Store,
    active: Arc<ArcSwap<Vec<Stop>>>,
    /// When the look began that the list is from.
    looked: Arc<Mutex<Option<Instant>>>,
}

impl Stops {
    pub fn new(store: Store) -> Self {
        Self { store, active: Arc::default(), looked: Arc::default() }
    }

    pub fn active(&self) -> Arc<Vec<Stop>> {
        self.active.load_full()
    }

    /// Refuses to hand out stored secrets where that is stopped. They have no lease, and their session may have come before the stop.
    pub fn check_reading(&self, holder: &Holder) -> Result<(), Refusal> {
        let stops = self.active.load();
        let spared = |stop: &Stop| stop.spared == Some(holder.session.id);
        let kv = |stop: &Stop| stop.engine.as_deref().is_none_or(|engine| engine == kv::NAME);
        match stops.iter().find(|stop| !spared(stop) && kv(stop) && speaks_of(stop, &holder.subject, &holder.session.role)) {
            Some(stop) => Err(refusal(stop)),
            None => Ok(()),
        }
    }

    /// Reads the list anew.
    pub async fn follow(&self) -> Result<(), Error> {
        let begun = Instant::now();
        let stops = self.store.stops().await?;
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        // One that began later was faster, and knows more.
        if looked.is_some_and(|looked| looked > begun) {
            return Ok(());
        }
        *looked = Some(begun);
        if stops != **self.active.load() {
            tracing::info!(stops = stops.len(), "the stops of exchanges have changed");
            self.active.store(Arc::new(stops));
        }
        Ok(())
    }

    /// Reads the list anew where what is known of it is too old to decide by. If it cannot be read, nobody is given anything.
    pub async fn fresh(&self) -> Result<(), Error> {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|looked| looked.elapsed() < OLDEST) { Ok(()) } else { self.follow().await }
    }

    /// Refuses what was allowed and is stopped.
    pub fn check(&self, subject: &Subject, allowed: &Allowed) -> Result<(), Refusal> {
        let stops = self.active.load();
        stops.iter().find(|stop| meets(stop, subject, allowed)).map_or(Ok(()), |stop| Err(refusal(stop)))
    }

    /// Refuses what comes from an issuer that is switched off, whatever it asks for.
    pub fn issuer(&self, issuer: &str) -> Result<(), Refusal> {
        self.switch(Some(issuer), None).map_or(Ok(()), |stop| Err(refusal(&stop)))
    }

    /// Refuses what a session wants whose issuer or role is switched off. The operator who did it goes on, to see it through.
    pub fn session(&self, session: Uuid, issuer: &str, role: &str) -> Result<(), Refusal> {
        let stops = self.active.load();
        let mut switches = stops.iter().filter(|stop| stop.switch && stop.spared != Some(session));
        let meets = |stop: &&Stop| stop.issuer.as_deref() == Some(issuer) || stop.role.as_deref() == Some(role);
        switches.find(meets).map_or(Ok(()), |stop| Err(refusal(stop)))
    }

    /// What switches this issuer or this role off.
    pub fn switch(&self, issuer: Option<&str>, role: Option<&str>) -> Option<Stop> {
        let stops = self.active.load();
        let of = |stop: &&Stop| stop.switch && stop.issuer.as_deref() == issuer && stop.role.as_deref() == role;
        stops.iter().find(of).cloned()
    }

    /// Ends what stops speak of until nothing is left, wherever it was opened and whoever began. One that fails keeps no other
    /// waiting; the first failure is told.
    pub async fn sweep_all(&self) -> Result<(), Error> {
        let mut told = Ok(());
        for stop in self.store.unswept_stops().await? {
            let swept = self.sweep_once(&stop).await;
            told = told.and(swept);
        }
        told
    }

    async fn sweep_once(&self, stop: &Stop) -> Result<(), Error> {
        let begun = self.store.system().now();
        let swept = self.sweep(stop, None).await?;
        if swept > 0 {
            tracing::info!(stop = %stop.id, sessions = swept, "sessions that a stop speaks of were ended");
        }
        if begun - stop.created_at >= SWEPT {
            self.store.stop_is_swept(stop.id, self.store.system().now()).await?;
        }
        Ok(())
    }

    /// Ends every session that the stop speaks of, and has what it holds taken back; for so long, where that is said.
    pub async fn sweep(&self, stop: &Stop, until: Option<Instant>) -> Result<u64, Error> {
        let (store, mut swept, mut after) = (&self.store, 0, None);
        loop {
            let now = store.system().now();
            let found = store.stopped_sessions(stop, after, now, BATCH).await?;
            after = found.last().map(|session| session.id);
            let full = i64::try_from(found.len()) == Ok(BATCH);
            for session in found {
                if stop.issued_before.is_some_and(|before| session.opened_at >= before) && !self.is_old(stop, session.id).await? {
                    continue;
                }
                let record = log::happened(store.system(), Kind::SessionEnded, stop.id, session.id, None, &session.role)?;
                let record = record.field("reason", "stopped");
                let ended = async {
                    let mut tx = store.begin().await?;
                    let ended = tx.stop_session(session.id, stop.id, now).await?.is_some();
                    if ended {
                        tx.remember(&[record]).await?;
                        tx.commit().await?;
                    }
                    Ok::<_, StoreError>(ended)
                };
                swept += u64::from(store.whole(ended).await?);
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Ok(swept);
                }
            }
            if !full {
                return Ok(swept);
            }
        }
    }

    /// Whether the token of a session that was opened after the stop is one of those that the stop speaks of.
    async fn is_old(&self, stop: &Stop, session: Uuid) -> Result<bool, Error> {
        let session = self.store.session(session).await?;
        Ok(session.is_some_and(|session| is_old(stop, &session.claims)))
    }
}

fn refusal(stop: &Stop) -> Refusal {
    let code = match stop {
        Stop { switch: false, .. } => Code::ExchangeStopped,
        Stop { issuer: Some(_), .. } => Code::IssuerDisabled,
        Stop { .. } => Code::RoleDisabled,
    };
    Refusal::new(code).hint(format!("the stop has the id {}", stop.id))
}

/// The stop as it is told.
pub fn filter(stop: &Stop) -> StopFilter {
    StopFilter {
        repository: stop.repository.clone(),
        run: stop.run.clone(),
        role: stop.role.clone(),
        issuer: stop.issuer.clone(),
        engine: stop.engine.clone(),
        before: stop.issued_before,
    }
}

fn meets(stop: &Stop, subject: &Subject, allowed: &Allowed) -> bool {
    speaks_of(stop, subject, &allowed.role)
        && stop.engine.as_deref().is_none_or(|engine| allowed.credentials.iter().any(|planned| planned.engine == engine))
}

/// Whether the stop speaks of this subject in this role, whatever it is given.
fn speaks_of(stop: &Stop, subject: &Subject, role: &str) -> bool {
    let Subject { job, .. } = subject;
    let named = |wanted: &Option<String>, value: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| value.is_some_and(|value| value == wanted))
    };
    // Rather one project too many than one letter in another case too few.
    let repository = stop.repository.as_deref().is_none_or(|wanted| {
        job.project.as_deref() == Some(wanted)
            || job.project_name.as_deref().is_some_and(|name| name.to_lowercase() == wanted.to_lowercase())
    });
    repository
        && named(&stop.run, job.run.as_deref())
        && named(&stop.role, Some(role))
        && named(&stop.issuer, Some(&subject.issuer))
        && is_old(stop, &subject.claims)
}

/// Whether the token was made before the stop's moment or in the same second, where it names one. One that does not say when it
/// was made is taken to be.
fn is_old(stop: &Stop, claims: &Claims) -> bool {
    stop.issued_before
        .is_none_or(|before| claims.get("iat").and_then(Json::as_int).is_none_or(|issued| issued <= before.unix_timestamp()))
}

//! One issuer's keys: what is held, when it is fetched again, and who waits for that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};

use super::source::{Document, FetchFailed, Source, Stamp};
use super::{Found, ShelfError, Shelved, Status, World, since};
use crate::crypto::jws::{AdmittedKey, KeySet, SetRefused};

/// How often keys are fetched, give or take a tenth.
const REFRESH: Duration = Duration::from_mins(5);

/// How often a file is looked at, and how soon a failed fetch is tried again.
const FILE_REFRESH: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(30);

/// Keys older than this make an alarm.
const STALE: Duration = Duration::from_mins(11);

/// Keys older than this are believed no longer.
const DEAD: Duration = Duration::from_hours(24);

/// A key id that is not held causes at most one fetch in this time.
const ASK_GAP: Duration = Duration::from_secs(30);

/// A key id that was not found is not asked for again in this time.
const ABSENT: Duration = Duration::from_mins(1);
const ABSENT_IDS: usize = 256;

/// How many requests may wait for one issuer's fetch, and how long. The others shall come again, so that a flood of
/// unknown key ids cannot take every place that good tokens need.
const WAITERS: usize = 16;
const PATIENCE_SECONDS: u32 = 5;

/// How long the shelf may take.
const SHELF: Duration = Duration::from_secs(2);

/// Admitted keys with their document and its time.
#[derive(Debug)]
pub struct Held {
    set: Arc<KeySet>,
    document: Arc<[u8]>,
    stamp: Option<Stamp>,
    fetched_at: OffsetDateTime,
}

impl Held {
    pub fn key(&self, id: &str) -> Option<&AdmittedKey> {
        self.set.key(id)
    }

    /// How long ago the issuer confirmed these keys.
    pub fn age(&self, now: OffsetDateTime) -> Duration {
        since(self.fetched_at, now)
    }
}

#[derive(Debug)]
pub(super) struct IssuerKeys {
    source: Source,
    held: ArcSwapOption<Held>,
    /// Never locked across an await.
    traffic: Mutex<Traffic>,
    seats: Semaphore,
    /// Failed attempts since somebody looked.
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Traffic {
    flight: Option<Flight>,
    departed: Option<OffsetDateTime>,
    due: Option<OffsetDateTime>,
    failure: Option<String>,
    private_key: bool,
    /// The last refresh asked the issuer itself, rather than the shelf alone.
    asked: bool,
    /// Key ids that were not there, and when.
    absent: HashMap<String, OffsetDateTime>,
}

/// A refresh under way. It has landed when the other end of the channel is gone, even if it panicked.
#[derive(Clone, Debug)]
pub(super) struct Flight(watch::Receiver<()>);

impl Flight {
    fn is_under_way(&self) -> bool {
        self.0.has_changed().is_ok()
    }

    pub(super) async fn landed(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl IssuerKeys {
    /// Starts with the document that `before` held, if it came from the same place.
    pub(super) fn new(source: Source, before: Option<&Self>) -> Self {
        let inherited = before.filter(|before| before.source.origin() == source.origin()).and_then(|before| {
            let held = before.held.load_full()?;
            let set = KeySet::admit(&held.document, &source.algorithms).ok()?;
            Some(Arc::new(Held { set: Arc::new(set), document: Arc::clone(&held.document), ..*held }))
        });
        Self {
            source,
            held: ArcSwapOption::from(inherited),
            traffic: Mutex::default(),
            seats: Semaphore::new(WAITERS),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    pub(super) async fn find(self: &Arc<Self>, world: &World, key_id: &str) -> Found {
        let now = world.system.now();
        if let Some(held) = self.alive(now)
            && (held.key(key_id).is_some() || self.is_absent(key_id, now))
        {
            return Found::Keys(held);
        }
        let Ok(_seat) = self.seats.try_acquire() else { return Found::Unavailable { retry_after: PATIENCE_SECONDS } };
        let mut landed = true;
        if let Some(mut flight) = self.depart(world, Some(key_id)) {
            landed = tokio::time::timeout(Duration::from_secs(PATIENCE_SECONDS.into()), flight.landed()).await.is_ok();
            if landed {
                self.remember_if_absent(key_id, world.system.now());
            }
        }
        let now = world.system.now();
        match self.alive(now) {
            // While the issuer has not been asked, or did not answer, nobody can say that the key does not exist.
            Some(held) if held.key(key_id).is_some() || (landed && self.has_told(&held, now)) => Found::Keys(held),
            _ => Found::Unavailable { retry_after: self.retry_after(now) },
        }
    }

    pub(super) fn is_due(&self, now: OffsetDateTime) -> bool {
        let traffic = self.traffic();
        match (traffic.due, traffic.departed) {
            // A clock that went back must not stop the refreshing.
            (Some(due), Some(departed)) => due <= now || departed > now,
            _ => true,
        }
    }

    /// The refresh that is under way, or a new one. When it is `wanted` for a key id, new ones are kept apart.
    pub(super) fn depart(self: &Arc<Self>, world: &World, wanted: Option<&str>) -> Option<Flight> {
        let now = world.system.now();
        let mut traffic = self.traffic();
        if let Some(flight) = traffic.flight.as_ref().filter(|flight| flight.is_under_way()) {
            return Some(flight.clone());
        }
        let too_soon = traffic.departed.is_some_and(|departed| departed <= now && since(departed, now) < ASK_GAP);
        if wanted.is_some() && too_soon {
            return None;
        }
        let (landing, flight) = watch::channel(());
        let flight = Flight(flight);
        traffic.flight = Some(flight.clone());
        traffic.departed = Some(now);
        drop(traffic);

        let (keys, world, wanted) = (Arc::clone(self), world.clone(), wanted.map(str::to_owned));
        tokio::spawn(async move {
            let shelved = keys.refresh(&world, wanted.as_deref()).await;
            drop(landing);
            if let Some(shelved) = shelved {
                keys.put_on_shelf(&world, shelved).await;
            }
        });
        Some(flight)
    }

    #[cfg(test)]
    pub(super) fn is_flying(&self) -> bool {
        self.traffic().flight.as_ref().is_some_and(Flight::is_under_way)
    }

    pub(super) fn serves(&self, now: OffsetDateTime) -> bool {
        self.alive(now).is_some()
    }

    pub(super) fn status(&self, now: OffsetDateTime) -> Status {
        let age = self.held.load_full().map(|held| held.age(now));
        let (failure, private_key) = {
            let traffic = self.traffic();
            (traffic.failure.clone(), traffic.private_key)
        };
        Status {
            issuer: self.source.issuer.clone(),
            age,
            stale: age.is_none_or(|age| age > STALE),
            failures: self.failures.swap(0, Ordering::Relaxed),
            failure,
            private_key,
        }
    }

    /// Brings the keys up to date. Gives what shall go on the shelf.
    async fn refresh(&self, world: &World, wanted: Option<&str>) -> Option<Shelved> {
        if self.take_from_shelf(world, wanted).await {
            self.schedule(world, REFRESH, false, None);
            return None;
        }
        // The time before the fetch, so that keys never look younger than they are.
        let asked_at = world.system.now();
        match self.fetch(world, asked_at).await {
            Ok(document) => {
                self.schedule(world, if self.source.is_file() { FILE_REFRESH } else { REFRESH }, true, None);
                document.map(|document| Shelved { document, fetched_at: asked_at })
            }
            Err(failure) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let age = self.held.load_full().map_or(0, |held| held.age(world.system.now()).as_secs());
                tracing::warn!(issuer = self.source.issuer, %failure, age, "the issuer's keys could not be refreshed");
                self.schedule(world, if self.source.is_file() { FILE_REFRESH } else { RETRY }, true, Some(&failure));
                None
            }
        }
    }

    /// Fetches, admits and swaps. Gives the document, if it came from the issuer itself.
    async fn fetch(&self, world: &World, asked_at: OffsetDateTime) -> Result<Option<Vec<u8>>, FetchFailed> {
        let before = self.held.load_full();
        match self.source.document(&world.outbound, before.as_ref().and_then(|held| held.stamp)).await? {
            Document::Fetched(document) => {
                self.swap(&document, None, asked_at)?;
                Ok(Some(document))
            }
            Document::Read(document, stamp) => {
                self.swap(&document, Some(stamp), asked_at)?;
                Ok(None)
            }
            Document::Unchanged => {
                if let Some(held) = before {
                    let (set, document) = (Arc::clone(&held.set), Arc::clone(&held.document));
                    self.held.store(Some(Arc::new(Held { set, document, fetched_at: asked_at, ..*held })));
                }
                Ok(None)
            }
        }
    }

    async fn put_on_shelf(&self, world: &World, shelved: Shelved) {
        let Some(shelf) = &world.shelf else { return };
        let outcome = tokio::time::timeout(SHELF, shelf.save(&self.source.issuer, self.source.origin(), shelved)).await;
        if let Err(error) = outcome.unwrap_or_else(|_| Err(ShelfError::slow())) {
            tracing::warn!(issuer = self.source.issuer, %error, "the keys could not be put on the shelf");
        }
    }

    /// Takes a newer document of another replica. Says whether that makes a fetch of our own unnecessary.
    async fn take_from_shelf(&self, world: &World, wanted: Option<&str>) -> bool {
        let Some(shelf) = world.shelf.as_ref().filter(|_| !self.source.is_file()) else { return false };
        let now = world.system.now();
        let loaded = tokio::time::timeout(SHELF, shelf.load(&self.source.issuer, self.source.origin())).await;
        let shelved = match loaded.unwrap_or_else(|_| Err(ShelfError::slow())) {
            Ok(shelved) => shelved,
            Err(error) => {
                tracing::warn!(issuer = self.source.issuer, %error, "the shelf with the issuer's keys cannot be read");
                return false;
            }
        };
        let newer = |at: OffsetDateTime| at <= now && self.held.load().as_ref().is_none_or(|held| held.fetched_at < at);
        let Some(shelved) = shelved.filter(|shelved| newer(shelved.fetched_at)) else { return false };
        if self.swap(&shelved.document, None, shelved.fetched_at).is_err() {
            return false;
        }
        let age = since(shelved.fetched_at, now);
        match wanted {
            None => age < REFRESH / 2,
            // After a while only the issuer can say that it still publishes the key.
            Some(wanted) => {
                age < ASK_GAP || (age < REFRESH && self.held.load().as_ref().is_some_and(|held| held.key(wanted).is_some()))
            }
        }
    }

    /// Admits aside, then puts the new keys in place of the old ones.
    fn swap(&self, document: &[u8], stamp: Option<Stamp>, fetched_at: OffsetDateTime) -> Result<(), SetRefused> {
        let set = KeySet::admit(document, &self.source.algorithms)?;
        let known = self.held.load_full().is_some_and(|held| *held.document == *document);
        for skipped in set.skipped().iter().filter(|_| !known) {
            let id = skipped.id.as_deref().unwrap_or("");
            tracing::info!(issuer = self.source.issuer, key = id, reason = skipped.reason, "a published key is not used");
        }
        self.held.store(Some(Arc::new(Held { set: Arc::new(set), document: document.into(), stamp, fetched_at })));
        Ok(())
    }

    fn schedule(&self, world: &World, wait: Duration, asked: bool, failure: Option<&FetchFailed>) {
        // 0.9 to 1.1 of the time, so that replicas do not ask in step.
        let spread = world.system.random().map_or(0.5, |bytes| f64::from(u16::from_ne_bytes(bytes)) / 65_536.0);
        let due = world.system.now() + wait.mul_f64(0.9 + spread / 5.0);
        let mut traffic = self.traffic();
        traffic.due = Some(due);
        traffic.asked = asked;
        traffic.failure = failure.map(ToString::to_string);
        traffic.private_key = matches!(failure, Some(FetchFailed::Set(SetRefused::PrivateKey)));
    }

    fn alive(&self, now: OffsetDateTime) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| held.age(now) <= DEAD)
    }

    fn is_absent(&self, key_id: &str, now: OffsetDateTime) -> bool {
        self.traffic().absent.get(key_id).is_some_and(|at| *at <= now && since(*at, now) < ABSENT)
    }

    /// Whether what is held is the issuer's last word, so that a key that is not in it does not exist.
    fn has_told(&self, held: &Held, now: OffsetDateTime) -> bool {
        let traffic = self.traffic();
        traffic.failure.is_none() && (traffic.asked || held.age(now) < ASK_GAP)
    }

    /// Remembers that the issuer does not publish the key. Only an answer of the issuer itself can tell.
    fn remember_if_absent(&self, key_id: &str, now: OffsetDateTime) {
        if self.held.load().as_ref().is_none_or(|held| held.key(key_id).is_some()) {
            return;
        }
        let mut traffic = self.traffic();
        if traffic.failure.is_some() || !traffic.asked {
            return;
        }
        traffic.absent.retain(|_, at| *at <= now && since(*at, now) < ABSENT);
        if traffic.absent.len() < ABSENT_IDS {
            traffic.absent.insert(key_id.to_owned(), now);
        }
    }

    fn retry_after(&self, now: OffsetDateTime) -> u32 {
        let waited = self.traffic().departed.map_or(ASK_GAP, |departed| since(departed, now));
        u32::try_from(ASK_GAP.saturating_sub(waited).as_secs()).unwrap_or(30).max(1)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

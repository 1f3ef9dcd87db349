//! One issuer's server, a clock that is set by hand and a shelf in memory.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::*;
use crate::crypto::jws::tests::jwks;
use crate::outbound::testing::{Answers, HOST};
use crate::outbound::{BoxFuture, Reach};
use crate::system::Clock;

#[derive(Debug)]
pub(super) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// A shelf in memory; it can be told to break.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) kept: Mutex<Option<Shelved>>,
    /// Where it came from; without it, from wherever it is asked for.
    pub(super) origin: Mutex<Option<Origin>>,
    pub(super) broken: AtomicBool,
}

impl KeyShelf for Board {
    fn load<'a>(&'a self, _: &'a str, origin: Origin) -> BoxFuture<'a, Result<Option<Shelved>, ShelfError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                Err(ShelfError("down".to_owned()))
            } else {
                let matches = self.origin.lock().unwrap().is_none_or(|kept| kept == origin);
                Ok(self.kept.lock().unwrap().clone().filter(|_| matches))
            }
        })
    }

    fn save<'a>(&'a self, _: &'a str, origin: Origin, shelved: Shelved) -> BoxFuture<'a, Result<(), ShelfError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(ShelfError("down".to_owned()));
            }
            *self.origin.lock().unwrap() = Some(origin);
            *self.kept.lock().unwrap() = Some(shelved);
            Ok(())
        })
    }
}

pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) clock: Arc<TestClock>,
    pub(super) shelf: Option<Arc<Board>>,
}

pub(super) const KEYS: &str = "/keys";

impl Bench {
    pub(super) async fn start() -> Self {
        Self { server: Server::start().await, clock: Arc::new(TestClock(AtomicI64::new(1_790_000_000))), shelf: None }
    }

    pub(super) fn issuer(&self) -> String {
        format!("https://{HOST}:{}", self.server.address.port())
    }

    pub(super) fn source(&self) -> Source {
        Source {
            issuer: self.issuer(),
            algorithms: Algorithm::DEFAULT.to_vec(),
            place: Place::Url(self.server.url(KEYS)),
            destination: self.server.destination(Reach::Private),
        }
    }

    /// A cache that knows the server's issuer, as a replica would start with.
    pub(super) fn cache(&self, source: Source) -> Arc<KeyCache> {
        let system = System { clock: self.clock.clone(), entropy: System::real().0.entropy };
        let shelf = self.shelf.clone().map(|shelf| shelf as Arc<dyn KeyShelf>);
        let cache = KeyCache::new(system, Outbound::new(Answers::new(&[&["127.0.0.1"]])), shelf);
        cache.configure(vec![source]);
        Arc::new(cache)
    }

    pub(super) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.server.say(KEYS, Reply::ok(jwks(&keys)));
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Whether the key is to be had; none when the issuer has no keys.
    pub(super) async fn has(&self, cache: &KeyCache, key_id: &str) -> Option<bool> {
        match cache.find(&self.issuer(), key_id).await {
            Found::Keys(held) => Some(held.key(key_id).is_some()),
            Found::Unavailable { retry_after } => {
                assert!((1..=30).contains(&retry_after));
                None
            }
        }
    }

    /// Starts what is due and waits for it.
    pub(super) async fn refresh(&self, cache: &KeyCache) {
        cache.refresh_due();
        let issuer = cache.issuers.load().get(&self.issuer()).cloned().unwrap();
        for _ in 0..500 {
            if !issuer.is_flying() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the refresh does not end");
    }
}

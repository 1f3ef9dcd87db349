//! Remembering refusals without letting anyone fill the disk with them.
//!
//! After a valid signature each refusal gets a record, up to so many a minute per issuer, project and code, then it is only
//! counted, exactly. Before a valid signature it is only counted. A refusal is answered even if its record fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::audit::Kind;
use domain::refusal::Refusal;
use time::OffsetDateTime;

use super::error::Error;
use crate::audit::log::{self, About};
use crate::store::Store;
use crate::store::denials::Denials as Counts;
use crate::system::System;
use crate::telemetry::Metrics;

/// Records of one issuer, project and code in a minute; more are counted.
pub const RECORDS_A_MINUTE: u64 = 20;

/// Remembers refusals.
#[derive(Clone, Debug)]
pub struct Denials {
    system: System,
    store: Store,
    metrics: Metrics,
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    /// Records of this minute, by issuer, project and code.
    recorded: HashMap<Key, u64>,
    minute: i64,
    /// Counts that are not in the store yet, by minute.
    waiting: HashMap<(i64, Key), i64>,
}

type Key = (String, String, &'static str);

impl Denials {
    pub fn new(system: System, store: Store, metrics: Metrics) -> Self {
        Self { system, store, metrics, tally: Arc::default() }
    }

    /// A token whose signature was not accepted: nobody knows whose it is, so it is only counted.
    pub fn unverified(&self, refusal: &Refusal) {
        self.metrics.unverified(refusal.code.as_str());
        let minute = self.minute();
        self.with(|tally| tally.count(minute, (String::new(), String::new(), refusal.code.as_str())));
    }

    /// A refusal of someone who is known.
    pub async fn record(&self, about: &About<'_>, refusal: &Refusal) {
        let kind = if about.session.is_some() { Kind::SessionDenied } else { Kind::ExchangeDenied };
        self.record_as(kind, about, refusal).await;
    }

    /// The same for a request that has a word of its own.
    pub async fn record_as(&self, kind: Kind, about: &About<'_>, refusal: &Refusal) {
        let code = refusal.code.as_str();
        self.metrics.decision(code);
        let minute = self.minute();
        let key = (about.issuer.to_owned(), about.job.project.clone().unwrap_or_default(), code);
        if !self.with(|tally| tally.admit(minute, key.clone())) {
            return;
        }
        let facts = refusal.hints.iter().enumerate().map(|(at, hint)| (format!("hint.{at}"), hint.clone())).collect();
        let written = async {
            let record = log::refused(&self.system, kind, about, refusal.code, &facts)?;
            self.store.remember(record).await.map_err(Error::from_write)?;
            Ok::<_, Error>(())
        };
        if let Err(error) = written.await {
            self.with(|tally| tally.count(minute, key));
            self.metrics.alarm("denial_not_recorded");
            tracing::error!(decision_id = %about.decision, ?error, "a refusal could not be recorded");
        }
    }

    /// Moves the counts into the store. What cannot be written stays for the next time.
    pub async fn flush(&self) -> Result<(), Error> {
        let waiting = self.with(|tally| std::mem::take(&mut tally.waiting));
        if waiting.is_empty() {
            return Ok(());
        }
        let counts = waiting.iter().filter_map(|((minute, (issuer, project, code)), count)| {
            let minute = OffsetDateTime::from_unix_timestamp(minute * 60).ok()?;
            Some(Counts { minute, issuer: issuer.clone(), project: project.clone(), code: (*code).to_owned(), count: *count })
        });
        let counts: Vec<_> = counts.collect();
        if let Err(error) = self.store.add_denials(counts).await {
            self.with(|tally| {
                for (key, count) in waiting {
                    *tally.waiting.entry(key).or_default() += count;
                }
            });
            return Err(error.into());
        }
        Ok(())
    }

    fn minute(&self) -> i64 {
        self.system.now().unix_timestamp().div_euclid(60)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tally) -> T) -> T {
        work(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tally {
    /// Whether this refusal still gets a record of its own; otherwise it is counted.
    fn admit(&mut self, minute: i64, key: Key) -> bool {
        if self.minute != minute {
            self.minute = minute;
            self.recorded.clear();
        }
        // Keys name verified projects, but there may be many of them: past this size all is counted.
        if !self.recorded.contains_key(&key) && self.recorded.len() >= 10_000 {
            self.count(minute, key);
            return false;
        }
        let recorded = self.recorded.entry(key.clone()).or_default();
        if *recorded < RECORDS_A_MINUTE {
            *recorded += 1;
            return true;
        }
        self.count(minute, key);
        false
    }

    fn count(&mut self, minute: i64, key: Key) {
        *self.waiting.entry((minute, key)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_so_many_a_minute_and_counts_the_rest_exactly() {
        let mut tally = Tally::default();
        let key = || ("github".to_owned(), "1".to_owned(), "role_not_allowed");
        let admitted = (0..50).filter(|_| tally.admit(7, key())).count();
        assert_eq!(admitted, 20);
        assert_eq!(tally.waiting.get(&(7, key())), Some(&30));
        assert!(tally.admit(8, key()), "a new minute records again");
        assert!(tally.admit(8, ("github".to_owned(), "2".to_owned(), "role_not_allowed")), "another project has its own count");
    }
}

//! The load generator: a closed loop that keeps a number of connections busy, and an open loop that sends at a given rate
//! whatever happens, so that waiting is counted and not hidden.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::http::{Connection, Target};

/// A request that takes longer than this is a failure.
const PATIENCE: Duration = Duration::from_secs(15);

/// Requests to send, each once, or one again and again.
#[derive(Debug)]
pub struct Requests {
    each: Vec<Box<[u8]>>,
    next: AtomicUsize,
    again: bool,
}

impl Requests {
    pub fn once(each: Vec<Box<[u8]>>) -> Arc<Self> {
        Arc::new(Self { each, next: AtomicUsize::new(0), again: false })
    }

    pub fn again(request: Box<[u8]>) -> Arc<Self> {
        Arc::new(Self { each: vec![request], next: AtomicUsize::new(0), again: true })
    }

    pub fn len(&self) -> usize {
        self.each.len()
    }

    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    fn take(&self) -> Option<(usize, &[u8])> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = if self.again { 0 } else { number };
        self.each.get(at).map(|request| (number, &**request))
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub elapsed: Duration,
    /// Answers 200, with their latency in microseconds.
    pub accepted: Histogram<u64>,
    /// Answers 503 and 429.
    pub refused: Histogram<u64>,
    /// Everything else, connections that broke included.
    pub failed: u64,
    /// One of the failures, for the message.
    failure: Option<String>,
    /// One of the refusals, in the broker's words.
    pub refusal: Option<String>,
    /// When each request was due and what it took in microseconds; one that was refused never got what it asked for.
    each: Vec<(Instant, u64)>,
}

impl Outcome {
    fn empty() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3);
        Ok(Self {
            elapsed: Duration::ZERO,
            accepted: histogram()?,
            refused: histogram()?,
            failed: 0,
            failure: None,
            refusal: None,
            each: Vec::new(),
        })
    }

    /// Answers 200 in a second.
    pub fn rate(&self) -> f64 {
        self.accepted.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// A quantile of the latency of answers 200, in milliseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.accepted.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// A quantile of the latency of the requests due in each whole second, in milliseconds.
    pub fn quantile_by_second(&self, quantile: f64) -> Vec<f64> {
        let Some(began) = self.each.iter().map(|(due, _)| *due).min() else { return Vec::new() };
        let mut seconds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (due, micros) in &self.each {
            seconds.entry(due.duration_since(began).as_secs()).or_default().push(*micros);
        }
        // The last one was not a whole second, unless it is all there is.
        if seconds.len() > 1 {
            seconds.pop_last();
        }
        let of = |mut second: Vec<u64>| {
            second.sort_unstable();
            let at = (quantile * second.len() as f64).ceil() as usize;
            second.get(at.saturating_sub(1)).map(|micros| *micros as f64 / 1_000.0)
        };
        seconds.into_values().filter_map(of).collect()
    }

    /// Fails if anything but `200` was answered.
    pub fn all_accepted(self) -> Result<Self> {
        if self.failed + self.refused.len() > 0 {
            bail!(
                "{} of {} requests were refused{} and {} failed{}",
                self.refused.len(),
                self.accepted.len() + self.refused.len() + self.failed,
                self.refusal.map(|refusal| format!(" ({refusal})")).unwrap_or_default(),
                self.failed,
                self.failure.map(|failure| format!(", one with: {failure}")).unwrap_or_default()
            );
        }
        if self.accepted.is_empty() {
            bail!("nothing was answered");
        }
        Ok(self)
    }

    /// Fails if anything was answered but 200, 503 and 429.
    pub fn none_failed(self) -> Result<Self> {
        match &self.failure {
            Some(failure) if self.failed > 0 => bail!("{} requests failed, one with: {failure}", self.failed),
            _ => Ok(self),
        }
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.accepted.add(&other.accepted)?;
        self.refused.add(&other.refused)?;
        self.failed += other.failed;
        self.failure = self.failure.take().or_else(|| other.failure.clone());
        self.refusal = self.refusal.take().or_else(|| other.refusal.clone());
        self.each.extend_from_slice(&other.each);
        Ok(())
    }

    fn count(&mut self, status: std::io::Result<u16>, body: &[u8], from: Instant) {
        let micros = u64::try_from(from.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.each.push((from, if matches!(status, Ok(200)) { micros } else { u64::MAX }));
        match status {
            Ok(200) => self.accepted.saturating_record(micros),
            Ok(429 | 503) => {
                self.refused.saturating_record(micros);
                self.refusal.get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
            }
            Ok(status) => {
                self.failed += 1;
                self.failure = Some(format!("{status}: {}", String::from_utf8_lossy(body)));
            }
            Err(error) => {
                self.failed += 1;
                self.failure = Some(error.to_string());
            }
        }
    }
}

/// How a closed loop uses connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Opened before, kept for the whole run.
    Kept,
    /// A new one for each request, opening included in its time.
    New,
}

/// Keeps `count` connections busy for `time`, or until the requests run out.
pub async fn closed(
    target: &Target,
    requests: &Arc<Requests>,
    count: usize,
    kind: Connections,
    time: Duration,
) -> Result<Outcome> {
    let mut ready = Vec::new();
    for _ in 0..count {
        ready.push(match kind {
            Connections::Kept => Some(Connection::open(target).await.context("the target takes no connection")?),
            Connections::New => None,
        });
    }
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for mut connection in ready {
        let (target, requests) = (target.clone(), requests.clone());
        let mut outcome = Outcome::empty()?;
        workers.spawn(async move {
            while began.elapsed() < time
                && let Some((_, request)) = requests.take()
            {
                let from = Instant::now();
                ask(&target, &mut connection, request, from, &mut outcome).await;
                if kind == Connections::New {
                    connection = None;
                }
            }
            outcome
        });
    }
    gathered(workers, began).await
}

/// Sends all requests at `rate` a second over `count` connections. Latency counts from the moment a request was due.
pub async fn open(target: &Target, requests: &Arc<Requests>, count: usize, rate: f64) -> Result<Outcome> {
    let mut ready = Vec::new();
    for _ in 0..count {
        ready.push(Some(Connection::open(target).await.context("the target takes no connection")?));
    }
    let began = Instant::now() + Duration::from_millis(20);
    let mut workers = JoinSet::new();
    for mut connection in ready {
        let (target, requests) = (target.clone(), requests.clone());
        let mut outcome = Outcome::empty()?;
        workers.spawn(async move {
            while let Some((number, request)) = requests.take() {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                ask(&target, &mut connection, request, due, &mut outcome).await;
            }
            outcome
        });
    }
    gathered(workers, began).await
}

async fn ask(target: &Target, held: &mut Option<Connection>, request: &[u8], from: Instant, outcome: &mut Outcome) {
    let asked = async {
        let connection = match &mut *held {
            Some(connection) => connection,
            empty @ None => empty.insert(Connection::open(target).await?),
        };
        connection.ask(request).await
    };
    let status = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let broken = status.is_err();
    let body = held.as_ref().map(Connection::body).unwrap_or_default();
    outcome.count(status, body, from);
    if broken {
        *held = None;
    }
}

async fn gathered(mut workers: JoinSet<Outcome>, began: Instant) -> Result<Outcome> {
    let mut all = Outcome::empty()?;
    while let Some(outcome) = workers.join_next().await {
        all.add(&outcome?)?;
    }
    all.elapsed = began.elapsed();
    Ok(all)
}

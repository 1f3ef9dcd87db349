//! Jobs: they exchange tokens without pause, log in with what they get, repeat what failed, try one token twice, and write down
//! every credential that reached them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use domain::wire::ExchangeAnswer;
use serde_json::json;

use super::catalog;
use super::dice::Dice;
use super::targets::{Session, Target, Targets};
use crate::answer::Door;
use crate::ci::Ci;
use crate::ground::deploy_claims;

/// How long a job waits for an answer.
const PATIENCE: Duration = Duration::from_secs(12);

/// A credential that reached a job.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// Counts tokens.
    pub(crate) token: u64,
    /// It was asked for with an `Idempotency-Key`.
    pub(crate) keyed: bool,
    pub(crate) lease: String,
    pub(crate) login: String,
}

/// What all jobs together have seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) asked: AtomicU64,
    tokens: AtomicU64,
    got: Mutex<Vec<Got>>,
    /// Repeats after which the first login was still there.
    pub(crate) doubles: AtomicU64,
    stop: AtomicBool,
}

impl Ledger {
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn add(&self, got: Got) {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).push(got);
    }
}

/// Doors of the replicas that live at the moment.
pub(crate) type Doors = Arc<Mutex<Vec<Option<Door>>>>;

/// One job after the other, until the ledger says stop.
pub(crate) async fn work(ledger: Arc<Ledger>, doors: Doors, targets: Targets, mut dice: Dice) -> Result<()> {
    while !ledger.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(dice.time(20, 200)).await;
        if let Some(target) = dice.one(&targets.all).cloned() {
            job(&ledger, &doors, &targets, &target, &mut dice).await?;
        }
    }
    Ok(())
}

async fn job(ledger: &Arc<Ledger>, doors: &Doors, targets: &Targets, target: &Target, dice: &mut Dice) -> Result<()> {
    let mut claims = deploy_claims();
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("event_name".to_owned(), "push".into());
    }
    let jwt = Ci::shared()?.github(&claims)?;
    let token = ledger.tokens.fetch_add(1, Ordering::Relaxed);
    let key = dice.percent(40).then(|| format!("chaos-{token}"));
    let ttl = format!("{}s", 2 + dice.below(7));
    let ask = async |door: Option<Door>| {
        ledger.asked.fetch_add(1, Ordering::Relaxed);
        let body = json!({"role": format!("chaos-{}", target.name), "ttl": ttl});
        let asked = door?;
        let answer = tokio::time::timeout(PATIENCE, asked.exchange_with(&jwt, body, key.as_deref())).await.ok()?.ok()?;
        let granted = answer.granted().ok()?;
        Some((asked, granted))
    };
    // One token at two doors at once, or again after a while: at most one login may come of it.
    let mut answers = Vec::new();
    if dice.percent(15) {
        let (one, other) = (any(doors, dice), any(doors, dice));
        let (one, other) = tokio::join!(ask(one), ask(other));
        answers.extend([one, other]);
    } else {
        answers.push(ask(any(doors, dice)).await);
        if answers.iter().all(Option::is_none) || dice.percent(10) {
            tokio::time::sleep(dice.time(50, 1_500)).await;
            answers.push(ask(any(doors, dice)).await);
        }
    }
    let mut first: Option<String> = None;
    for (door, granted) in answers.into_iter().flatten() {
        let Some((login, password, lease)) = credential(&granted) else { continue };
        ledger.add(Got { token, keyed: key.is_some(), lease, login: login.clone() });
        // Of two grants that came at the same moment nobody knows which was the later one; the loser is dead all the same.
        if let Some(first) = first.replace(login.clone())
            && both_live(targets, &first, &login).await
        {
            ledger.doubles.fetch_add(1, Ordering::Relaxed);
        }
        let session = targets.login(target, &login, &password).await.ok();
        let stay = dice.time(100, 12_000);
        if dice.percent(25) {
            tokio::spawn(give_back(door, granted, stay / 4));
        }
        tokio::spawn(stay_in(session, stay));
    }
    Ok(())
}

/// A door of a replica that was alive a moment ago.
fn any(doors: &Doors, dice: &mut Dice) -> Option<Door> {
    let doors: Vec<Door> = doors.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect();
    dice.one(&doors).cloned()
}

fn credential(granted: &ExchangeAnswer) -> Option<(String, String, String)> {
    let credential = granted.credentials.get("database")?;
    let value = |name: &str| credential.values.get(name).cloned();
    Some((value("username")?, value("password")?, credential.lease_id.clone()?))
}

/// Whether both can log in, by the target's own catalog, also a moment later.
async fn both_live(targets: &Targets, one: &str, other: &str) -> bool {
    for _ in 0..2 {
        // A target that is down at the moment shows nothing; the audit at the end sees what is left.
        let Ok(seen) = catalog::read(targets).await else { return false };
        if !(seen.live.contains(one) && seen.live.contains(other)) {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    true
}

async fn give_back(door: Door, granted: ExchangeAnswer, after: Duration) {
    tokio::time::sleep(after).await;
    if let Some(session) = granted.session.token {
        // The replica may be dead; then the lease ends at its time.
        let _ = tokio::time::timeout(PATIENCE, door.delete("/api/v1/session", &session)).await;
    }
}

/// Works in an open session until it is cut, or for so long.
async fn stay_in(session: Option<Session>, time: Duration) {
    let Some(mut session) = session else { return };
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until && session.is_open().await {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

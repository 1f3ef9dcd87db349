//! Deliveries of CI systems that tell of jobs: proven, read, noted.
//!
//! A delivery can only take away: who knows a hook's secret can end the sessions of that issuer's jobs before their time and
//! nothing else. So a delivery that comes twice, late, or before its exchange does no harm.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::policy::Issuer;
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::error::Error;
use super::job_ends::JobEnds;
use super::rooms::Rooms;
use crate::store::job_ends::Noted;

mod github;
mod gitlab;
mod sender;
mod signed;

pub use sender::{Proof, Sender, Shown};

/// Deliveries of one hook that end something, in a minute and at once.
const A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5_999);
/// The most jobs that one delivery may speak of.
const JOBS: usize = 10_000;
/// The longest name of a delivery that is remembered.
const DELIVERY: usize = 64;
/// The fewest bytes of a secret.
const SECRET: usize = 16;
/// How long a job's end is remembered beyond the life of its last token and twice the leeway.
const MARGIN: i64 = 30;

/// The CI systems that send deliveries, by the kind of their issuer.
pub fn sender(kind: &str) -> Option<&'static dyn Sender> {
    match kind {
        domain::issuers::github::NAME => Some(&github::GitHub),
        domain::issuers::gitlab::NAME => Some(&gitlab::GitLab),
        _ => None,
    }
}

/// What is wrong with a secret, if anything: an empty one proves nothing, a header has to carry it, and what looks like a signing
/// token has to be one.
pub fn check_secret(secret: &Secret<String>) -> Result<(), &'static str> {
    let text = secret.expose();
    if text.len() < SECRET || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a hook's secret has at least 16 characters, all of them printable ASCII without spaces");
    }
    signed::check(secret)
}

/// The secrets of each hook, by the issuer's name. While one is being replaced there are two.
pub type Secrets = BTreeMap<String, Vec<Secret<String>>>;

/// The secrets that count now. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<ArcSwap<BTreeMap<String, Arc<Hook>>>>);

/// What is known of one hook.
#[derive(Debug)]
struct Hook {
    secrets: Vec<Secret<String>>,
    rate: DefaultDirectRateLimiter,
}

impl Keys {
    pub fn new(secrets: Secrets) -> Self {
        let keys = Self::default();
        keys.replace(secrets);
        keys
    }

    /// From now on these count, and no others.
    pub fn replace(&self, secrets: Secrets) {
        let hook = |secrets| Arc::new(Hook { secrets, rate: RateLimiter::direct(Quota::per_minute(A_MINUTE)) });
        self.0.store(Arc::new(secrets.into_iter().map(|(issuer, secrets)| (issuer, hook(secrets))).collect()));
    }

    fn of(&self, issuer: &str) -> Option<Arc<Hook>> {
        self.0.load().get(issuer).cloned()
    }
}

/// What became of a delivery. Nothing in it tells what is known of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It tells of a job's end.
    Noted,
    /// It tells of something else.
    Passed,
}

/// Takes deliveries.
#[derive(Clone, Debug)]
pub struct Hooks {
    rooms: Arc<Rooms>,
    ends: JobEnds,
}

impl Hooks {
    pub const fn new(rooms: Arc<Rooms>, ends: JobEnds) -> Self {
        Self { rooms, ends }
    }

    /// Refuses what is for no hook, before anybody reads it.
    pub fn check(&self, issuer: &str) -> Result<(), Refusal> {
        let kind = self.rooms.policies.active().issuer(issuer).and_then(|issuer| sender(issuer.kind.name()));
        match kind.filter(|_| self.rooms.hooks.of(issuer).is_some()) {
            Some(_) => Ok(()),
            None => Err(self.refused("", "unknown", Code::NotFound.into())),
        }
    }

    /// Refuses a delivery that nothing in its body could prove.
    pub fn may_prove(&self, issuer: &str, shown: &Shown<'_>) -> Result<(), Refusal> {
        let set = self.rooms.policies.active();
        let sender = set.issuer(issuer).and_then(|held| sender(held.kind.name()));
        let Some((sender, hook)) = sender.zip(self.rooms.hooks.of(issuer)) else {
            return Err(self.refused("", "unknown", Code::NotFound.into()));
        };
        if hook.secrets.iter().fold(false, |may, secret| sender.may_prove(secret, shown) | may) {
            return Ok(());
        }
        Err(self.refused(issuer, "unproven", Code::HookUnproven.into()))
    }

    /// One delivery. What it tells is durable when this returns, and carried out by whichever replica comes first. GitHub can
    /// send forms as well, which are no JSON.
    pub async fn receive(&self, issuer: &str, shown: &Shown<'_>, is_json: bool, body: &[u8]) -> Result<Received, Error> {
        let set = self.rooms.policies.active();
        let known = set.issuer(issuer).and_then(|held| Some((held, sender(held.kind.name())?)));
        let Some(((held, sender), hook)) = known.zip(self.rooms.hooks.of(issuer)) else {
            return Err(self.refused("", "unknown", Code::NotFound.into()).into());
        };
        // All are tried, so that the time it takes does not tell which one it was.
        let now = self.rooms.system.now();
        let proofs = hook.secrets.iter().map(|secret| sender.proof(secret, shown, body, now));
        match proofs.max().unwrap_or(Proof::Unproven) {
            Proof::Proven => {}
            Proof::Unproven => return Err(self.refused(issuer, "unproven", Code::HookUnproven.into()).into()),
            Proof::Stale => {
                let hint = "it was signed more than five minutes from now: compare the clocks, or have it sent anew";
                return Err(self.refused(issuer, "stale", Refusal::new(Code::HookUnproven).hint(hint)).into());
            }
        }
        let header = |name| shown.get(name).copied().unwrap_or_default();
        if !is_json {
            let refusal = Refusal::new(Code::RequestMalformed).hint("choose the content type application/json for the webhook");
            return Err(self.refused(issuer, "unreadable", refusal).into());
        }
        let ends = sender
            .ended(header(sender.event()), body)
            .map_err(|what| self.refused(issuer, "unreadable", Refusal::new(Code::RequestMalformed).hint(what)))?;
        if ends.is_empty() {
            self.rooms.metrics.hook(issuer, "passed");
            return Ok(Received::Passed);
        }
        if ends.len() > JOBS {
            return Err(self.refused(issuer, "unreadable", Code::RequestTooLarge.into()).into());
        }
        if hook.rate.check().is_err() {
            return Err(self.refused(issuer, "rate_limited", Refusal::new(Code::RateLimited).retry_after(60)).into());
        }
        let keep_until = now + tokens_live(held, self.rooms.verifier.leeway());
        let delivery = name(header(sender.delivery()));
        let new = self.ends.note(&Noted { issuer, delivery: &delivery, ends: &ends, now, keep_until }).await?;
        self.rooms.metrics.hook(issuer, if new > 0 { "noted" } else { "repeated" });
        Ok(Received::Noted)
    }

    /// A delivery that is turned away is counted: by issuer only where it is one of ours.
    fn refused(&self, issuer: &str, outcome: &'static str, refusal: Refusal) -> Refusal {
        self.rooms.metrics.hook(issuer, outcome);
        refusal
    }
}

/// How long after its job's end a token can be accepted at most.
fn tokens_live(issuer: &Issuer, leeway: i64) -> Duration {
    let longest = issuer.ages.lifetime.max(issuer.ages.age).saturating_add(2 * leeway).saturating_add(MARGIN);
    Duration::from_secs(longest.unsigned_abs())
}

/// What a delivery is remembered by: what the sender calls it, where that is a plain name.
fn name(text: &str) -> String {
    let plain = (1..=DELIVERY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain { text.to_owned() } else { "unnamed".to_owned() }
}

#[cfg(test)]
mod tests;

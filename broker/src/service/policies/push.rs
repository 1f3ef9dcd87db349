//! Operators change the policy set: a whole set comes in, is checked whole, and becomes active on every replica or changes
//! nothing.

use std::path::Path;
use std::sync::Arc;

use domain::audit::{Kind, Record, hex};
use domain::policy::{self, PolicySet, Problem, SourceFile};
use domain::refusal::{Code, Refusal};
use domain::wire::{PolicyFile, PolicyOutcome, PolicyTerms};
use uuid::Uuid;

use super::keeper::{aside, stored};
use super::list::SHORTEST;
use super::person::{author, kept};
use super::widens::widens;
use super::{Approval, Keeper, files, load};
use crate::audit::log;
use crate::service::error::Error;
use crate::service::operators;
use crate::service::rooms::Rooms;
use crate::service::sessions::Holder;
use crate::store::policies::Activated;
use crate::store::proposals::Proposal;

/// Problems of a set that are told at once.
const TOLD: usize = 100;
/// How often a change is tried again because another one came in between.
const ROUNDS: usize = 3;
/// The most files of one set.
const FILES: usize = 2000;
pub(super) const WRITE: &str = "policy.write";

/// The verbs of operators on policy sets.
#[derive(Clone, Debug)]
pub struct Versions {
    pub(super) rooms: Arc<Rooms>,
    pub(super) keeper: Keeper,
}

/// What became of a set.
#[derive(Debug)]
pub struct Pushed {
    pub hash: [u8; 32],
    pub outcome: PolicyOutcome,
    pub was: [u8; 32],
    pub adds: Vec<String>,
    pub needs_approval: bool,
}

impl Versions {
    pub const fn new(rooms: Arc<Rooms>, keeper: Keeper) -> Self {
        Self { rooms, keeper }
    }

    /// Checks a set and puts it in place, unless it has to wait for a second operator. Needs the right `policy.write`.
    pub async fn apply(
        &self,
        holder: &Holder,
        files: Vec<PolicyFile>,
        terms: &PolicyTerms,
        decision: Uuid,
    ) -> Result<Pushed, Error> {
        self.may(holder, decision).await?;
        let set = self.checked(holder, files, decision).await?;
        self.change(holder, set, terms, "operator", decision).await
    }

    /// Makes a stored set the active one again, under the same rules as a new one. Needs the right `policy.write`.
    pub async fn roll_back(&self, holder: &Holder, hash: &str, terms: &PolicyTerms, decision: Uuid) -> Result<Pushed, Error> {
        self.may(holder, decision).await?;
        let set = self.stored_sound(holder, &self.named(hash).await?.0, decision).await?;
        self.change(holder, set, terms, "rollback", decision).await
    }

    /// Has a set look on. It decides nothing, so it needs no second operator, and a folder as the source does not forbid it.
    /// Needs the right `policy.write`.
    pub async fn shadow(
        &self,
        holder: &Holder,
        files: Vec<PolicyFile>,
        terms: &PolicyTerms,
        decision: Uuid,
    ) -> Result<Pushed, Error> {
        holder.require(&self.rooms, WRITE, None, decision).await?;
        let set = self.checked(holder, files, decision).await?;
        let active = self.rooms.policies.active();
        expects(terms, &active.hash())?;
        let set = Arc::new(set);
        let (hash, adds) = (set.hash(), compared(&active, &set).await?);
        let outcome = if terms.dry_run { PolicyOutcome::Sound } else { PolicyOutcome::Shadowed };
        if !terms.dry_run {
            self.look_on(holder, Some(&set), decision).await?;
        }
        Ok(Pushed { hash, outcome, was: active.hash(), adds, needs_approval: false })
    }

    /// Has no set look on any more. Needs the right `policy.write`.
    pub async fn clear_shadow(&self, holder: &Holder, decision: Uuid) -> Result<(), Error> {
        holder.require(&self.rooms, WRITE, None, decision).await?;
        self.look_on(holder, None, decision).await
    }

    async fn look_on(&self, holder: &Holder, set: Option<&PolicySet>, decision: Uuid) -> Result<(), Error> {
        let rooms = &self.rooms;
        let (now, hash) = (rooms.system.now(), set.map(PolicySet::hash));
        let record = self.act(holder, Kind::PolicyShadowed, hash.as_ref(), decision)?;
        let mut tx = rooms.store.begin().await?;
        tx.policy_turn().await?;
        if let Some(set) = set {
            tx.store_policy(&set.hash(), &files(set), now).await?;
        }
        tx.shadow_policy(rooms.system.row_id()?, hash.as_ref(), &author(holder), now).await?;
        tx.remember(&[record]).await?;
        tx.commit().await?;
        self.keeper.follow().await
    }

    async fn change(
        &self,
        holder: &Holder,
        set: PolicySet,
        terms: &PolicyTerms,
        source: &str,
        decision: Uuid,
    ) -> Result<Pushed, Error> {
        if !terms.lock_out && !self.keeps(holder, &set) {
            let hint = format!("by the new set your token of {} reaches no role with the right {WRITE}", holder.subject.issuer);
            return Err(self.refused(holder, Refusal::new(Code::LockedOut).hint(hint), decision).await);
        }
        let set = Arc::new(set);
        for _ in 0..ROUNDS {
            // What is decided here is decided against the newest set, whoever pushed that.
            self.keeper.follow().await?;
            let active = self.rooms.policies.active();
            expects(terms, &active.hash())?;
            let adds = compared(&active, &set).await?;
            let needs_approval = self.waits(&adds);
            let pushed = |outcome| Pushed { hash: set.hash(), outcome, was: active.hash(), adds: adds.clone(), needs_approval };
            if set.hash() == active.hash() {
                return Ok(Pushed { needs_approval: false, ..pushed(PolicyOutcome::Unchanged) });
            }
            if terms.dry_run {
                return Ok(pushed(PolicyOutcome::Sound));
            }
            let outcome = if needs_approval {
                self.propose(holder, &set, &active.hash(), &adds, decision).await?
            } else {
                self.activate(holder, &set, &active.hash(), source, decision).await?
            };
            if let Some(outcome) = outcome {
                self.keeper.follow().await?;
                return Ok(pushed(outcome));
            }
        }
        Err(Refusal::new(Code::PolicyConflict)
            .hint("others keep changing it at the same time, or this broker cannot use the set that is active: its log tells")
            .into())
    }

    /// `None`: another set has become active in the meantime.
    async fn activate(
        &self,
        holder: &Holder,
        set: &PolicySet,
        base: &[u8; 32],
        source: &str,
        decision: Uuid,
    ) -> Result<Option<PolicyOutcome>, Error> {
        let rooms = &self.rooms;
        let record = self.act(holder, Kind::PolicyActivated, Some(&set.hash()), decision)?;
        let record = record.field("source", source).field("was", hex(base).as_str());
        let mut tx = rooms.store.begin().await?;
        tx.policy_turn().await?;
        let (pushed, at) = tx.pushed_policy(rooms.system.now()).await?;
        if pushed.as_ref() != Some(base) {
            return Ok(None);
        }
        let (hash, source, author) = (set.hash(), source.to_owned(), Some(author(holder)));
        let activated = Activated { id: rooms.system.row_id()?, hash, source, at, pushed: true, author, approver: None };
        super::activate(&mut tx, set, &activated, record).await?;
        tx.commit().await?;
        Ok(Some(PolicyOutcome::Activated))
    }

    /// `None`: another set has become active in the meantime.
    async fn propose(
        &self,
        holder: &Holder,
        set: &PolicySet,
        base: &[u8; 32],
        adds: &[String],
        decision: Uuid,
    ) -> Result<Option<PolicyOutcome>, Error> {
        let rooms = &self.rooms;
        let (id, hash, now) = (rooms.system.row_id()?, set.hash(), rooms.system.now());
        let reason = if adds.is_empty() { "every change waits".to_owned() } else { adds.join(", ") };
        let record = self.act(holder, Kind::PolicyProposed, Some(&hash), decision)?.field("reason", reason.as_str());
        let mut tx = rooms.store.begin().await?;
        tx.policy_turn().await?;
        if tx.pushed_policy(now).await?.0.as_ref() != Some(base) {
            return Ok(None);
        }
        tx.store_policy(&hash, &files(set), now).await?;
        let (author, person) = (author(holder), kept(holder, id));
        tx.propose_policy(&Proposal { id, hash, base: *base, author, person, reason, at: now }).await?;
        tx.remember(&[record]).await?;
        tx.commit().await?;
        Ok(Some(PolicyOutcome::Proposed))
    }

    /// Whether a change that may widen access so has to wait for a second operator.
    fn waits(&self, adds: &[String]) -> bool {
        match self.rooms.policies.pushed() {
            Some(Approval::Always) => true,
            Some(Approval::Widening) => !adds.is_empty(),
            Some(Approval::Never) | None => false,
        }
    }

    /// Whether the operator could still change the policy under the new set.
    fn keeps(&self, holder: &Holder, set: &PolicySet) -> bool {
        let writes = |rights: &[String]| domain::credentials::operator::allows(rights, WRITE, None);
        if holder.session.issuer == operators::BOOTSTRAP {
            return writes(&operators::rights_of_role(set, &holder.session.role));
        }
        let Some(issuer) = set.issuer_by_url(&holder.subject.issuer_url) else { return false };
        let now = self.rooms.system.now().unix_timestamp();
        set.roles().iter().filter(|role| !role.shadow && writes(&role.rights())).any(|role| {
            let (claims, role) = (&holder.subject.claims, Some(role.name.as_str()));
            let ask = policy::Ask { issuer: &issuer.name, claims, role, credentials: &[], ttl: None, now };
            policy::decide_role(set, &ask).is_ok()
        })
    }

    /// Refuses who may not bring sets.
    pub async fn may_write(&self, holder: &Holder, decision: Uuid) -> Result<(), Error> {
        holder.require(&self.rooms, WRITE, None, decision).await
    }

    async fn may(&self, holder: &Holder, decision: Uuid) -> Result<(), Error> {
        self.may_write(holder, decision).await?;
        Ok(self.is_pushed()?)
    }

    /// Refuses where sets come from a folder.
    pub(super) fn is_pushed(&self) -> Result<(), Refusal> {
        self.rooms.policies.pushed().map_or_else(|| Err(Code::PolicyFromFolder.into()), |_| Ok(()))
    }

    async fn checked(&self, holder: &Holder, files: Vec<PolicyFile>, decision: Uuid) -> Result<PolicySet, Error> {
        let plain = |path: &str| {
            let segments = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
            let toml = Path::new(path).extension().is_some_and(|ending| ending == "toml");
            segments && path.len() <= 255 && toml && !path.contains(|c: char| c.is_control() || c == '\\')
        };
        if files.is_empty() || files.len() > FILES || !files.iter().all(|file| plain(&file.path)) {
            let hint = format!("files: 1 to {FILES}, each with a path such as teams/shop.toml, relative and without `..`");
            return Err(Refusal::new(Code::RequestMalformed).hint(hint).into());
        }
        let files = files.into_iter().map(|PolicyFile { path, text }| SourceFile { path, text }).collect();
        match aside(move || load(files)).await? {
            Ok(set) => {
                // Where its issuers' keys are is part of a set that can be used.
                let _ = self.keeper.sources(&set)?;
                Ok(set)
            }
            Err(problems) => Err(self.refused(holder, unsound(&problems), decision).await),
        }
    }

    /// A stored set that this broker can use.
    pub(super) async fn stored_sound(&self, holder: &Holder, hash: &[u8; 32], decision: Uuid) -> Result<PolicySet, Error> {
        match stored(&self.rooms.store, hash).await? {
            Ok(set) => Ok(set),
            Err(problems) => Err(self.refused(holder, unsound(&problems), decision).await),
        }
    }

    /// A refusal that the audit trail tells of.
    pub(super) async fn refused(&self, holder: &Holder, refusal: Refusal, decision: Uuid) -> Error {
        let about = holder.about(decision, self.rooms.policies.active().hash());
        let told = Refusal { hints: refusal.hints.iter().take(10).cloned().collect(), ..refusal.clone() };
        self.rooms.denials.record_as(Kind::PolicyRefused, &about, &told).await;
        refusal.into()
    }

    /// An act on the set with this hash. The record names the set that let the operator act.
    pub(super) fn act(&self, holder: &Holder, kind: Kind, hash: Option<&[u8; 32]>, decision: Uuid) -> Result<Record, Error> {
        let object = hash.map_or_else(|| "none".to_owned(), |hash| hex(hash));
        Ok(log::act(&self.rooms.system, kind, &holder.about(decision, self.rooms.policies.active().hash()), &object)?)
    }
}

/// Refuses where the change was made from another set than the active one.
fn expects(terms: &PolicyTerms, active: &[u8; 32]) -> Result<(), Refusal> {
    let active = hex(active);
    match terms.from.as_deref() {
        Some(from) if from.len() < SHORTEST || !active.starts_with(&from.to_ascii_lowercase()) => {
            Err(Refusal::new(Code::PolicyConflict).hint(format!("the active set is {active}")))
        }
        _ => Ok(()),
    }
}

/// What of `new` widens. Of two large sets it takes a second, which no other request is to wait for.
async fn compared(old: &Arc<PolicySet>, new: &Arc<PolicySet>) -> Result<Vec<String>, Error> {
    let (old, new) = (Arc::clone(old), Arc::clone(new));
    aside(move || widens(&old, &new)).await
}

fn unsound(problems: &[Problem]) -> Refusal {
    let mut refusal = Refusal::new(Code::PolicyUnsound);
    refusal.hints = problems.iter().take(TOLD).map(ToString::to_string).collect();
    match problems.len().checked_sub(TOLD) {
        Some(more) if more > 0 => refusal.hint(format!("and {more} more")),
        _ => refusal,
    }
}

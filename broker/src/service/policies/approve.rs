//! Four eyes: what waits becomes active when another person than its author says so.

use domain::audit::{Kind, hex};
use domain::refusal::{Code, Refusal};
use domain::wire::PolicyOutcome;
use uuid::Uuid;

use super::person::{author, person};
use super::push::{Pushed, Versions};
use super::withdraw::is_own;
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::policies::Activated;

/// The hexadecimal digits of a hash.
const WHOLE: usize = 64;

impl Versions {
    /// Makes a set that waits the active one. Needs the right `policy.approve`, and not to be its author.
    pub async fn approve(&self, holder: &Holder, hash: &str, decision: Uuid) -> Result<Pushed, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "policy.approve", None, decision).await?;
        self.is_pushed()?;
        // All of it: somebody could propose another set whose hash begins the same.
        if hash.len() != WHOLE {
            let hint =
                format!("approve takes the whole hash, {WHOLE} digits: `daypass policy show` tells it beside what it stands for");
            return Err(Refusal::new(Code::RequestMalformed).hint(hint).into());
        }
        let hash = self.named(hash).await?.0;
        let proposal = rooms.store.proposals().await?.into_iter().find(|proposal| proposal.hash == hash);
        let Some(proposal) = proposal else { return Err(self.waits_no_more(holder, &hash, decision).await?) };
        if is_own(&proposal, holder) {
            return Err(self.refused(holder, Code::PolicyOwnProposal.into(), decision).await);
        }
        if person(holder, proposal.id).is_none() {
            return Err(self.refused(holder, Code::PolicyNobodyKnown.into(), decision).await);
        }
        let set = self.stored_sound(holder, &hash, decision).await?;
        let stale = || Refusal::new(Code::PolicyConflict).hint(format!("it was proposed in place of {}", hex(&proposal.base)));
        let approved = self.act(holder, Kind::PolicyApproved, Some(&hash), decision)?;
        let activated = self.act(holder, Kind::PolicyActivated, Some(&hash), decision)?;
        let author_id = proposal.author.session.to_string();
        let tell =
            |record: domain::audit::Record| record.field("author", author_id.as_str()).field("was", hex(&proposal.base).as_str());
        let mut tx = rooms.store.begin().await?;
        tx.policy_turn().await?;
        let (pushed, at) = tx.pushed_policy(rooms.system.now()).await?;
        if pushed != Some(proposal.base) {
            return Err(stale().into());
        }
        if !tx.approve_policy(proposal.id, at).await? {
            drop(tx);
            return Err(self.waits_no_more(holder, &hash, decision).await?);
        }
        tx.remember(&[tell(approved)]).await?;
        let row = Activated {
            id: rooms.system.row_id()?,
            hash,
            source: "operator".to_owned(),
            at,
            pushed: true,
            author: Some(proposal.author),
            approver: Some(author(holder)),
        };
        super::activate(&mut tx, &set, &row, tell(activated)).await?;
        tx.commit().await?;
        self.keeper.follow().await?;
        Ok(Pushed { hash, outcome: PolicyOutcome::Activated, was: proposal.base, adds: Vec::new(), needs_approval: false })
    }
}

//! What waits is taken back, so that nobody approves by mistake what its author no longer means.

use domain::audit::Kind;
use domain::credentials::operator;
use domain::refusal::{Code, Refusal};
use domain::wire::PolicyWithdrawal;
use uuid::Uuid;

use super::list::withdrawal;
use super::person::{author, person};
use super::push::{Versions, WRITE};
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::proposals::{Proposal, Withdrawn};

impl Versions {
    /// Ends the waiting of a proposed set. Needs to be its author, or the right `policy.write` or `policy.approve`.
    pub async fn withdraw(&self, holder: &Holder, hash: &str, decision: Uuid) -> Result<PolicyWithdrawal, Error> {
        let rooms = &self.rooms;
        let named = self.named(hash).await.map(|(hash, _)| hash);
        let proposals = rooms.store.proposals().await?;
        let proposal = proposals.into_iter().find(|proposal| named.as_ref().is_ok_and(|hash| proposal.hash == *hash));
        let own = proposal.as_ref().is_some_and(|proposal| is_own(proposal, holder));
        if !own && !operator::allows(&holder.rights, WRITE, None) {
            holder.require(rooms, "policy.approve", None, decision).await?;
        }
        let hash = named?;
        let Some(proposal) = proposal else { return Err(self.waits_no_more(holder, &hash, decision).await?) };
        let Proposal { id, author: proposed_by, reason, at: proposed_at, .. } = proposal;
        let record = self.act(holder, Kind::PolicyWithdrawn, Some(&hash), decision)?;
        let record = record.field("author", proposed_by.session.to_string().as_str());
        let (by, at) = (author(holder), rooms.system.now());
        let mut tx = rooms.store.begin().await?;
        tx.policy_turn().await?;
        if !tx.withdraw_policy(id, &by, at).await? {
            drop(tx);
            return Err(self.waits_no_more(holder, &hash, decision).await?);
        }
        tx.remember(&[record]).await?;
        tx.commit().await?;
        Ok(withdrawal(Withdrawn { hash, author: proposed_by, reason, proposed_at, by, at }))
    }

    /// Why a set that somebody wants to decide about does not wait.
    pub(super) async fn waits_no_more(&self, holder: &Holder, hash: &[u8; 32], decision: Uuid) -> Result<Error, Error> {
        if self.rooms.store.is_withdrawn(hash).await? {
            return Ok(self.refused(holder, Code::PolicyWithdrawn.into(), decision).await);
        }
        Ok(Refusal::new(Code::NotFound).hint("no such policy set waits").into())
    }
}

/// Whether the same session or the same person proposed it.
pub(super) fn is_own(proposal: &Proposal, holder: &Holder) -> bool {
    proposal.author.session == holder.session.id || person(holder, proposal.id) == Some(proposal.person)
}

//! What is active, what was, what waits.

use domain::audit::{Kind, hex};
use domain::refusal::{Code, Refusal};
use domain::wire::{PolicyActivation, PolicyAuthor, PolicyDetail, PolicyFile, PolicyList, PolicyProposal, PolicyWithdrawal};
use time::OffsetDateTime;
use uuid::Uuid;

use super::push::Versions;
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::policies::{Activated, Author};
use crate::store::proposals::{Proposal, Withdrawn};

const READ: &str = "policy.read";
/// Activations that are listed.
const LATEST: i64 = 100;
/// Withdrawals that are.
const LATEST_WITHDRAWN: i64 = 20;
/// The shortest beginning of a hash that stands for all of it.
pub(super) const SHORTEST: usize = 8;

impl Versions {
    /// Needs the right `policy.read`.
    pub async fn list(&self, holder: &Holder, decision: Uuid) -> Result<PolicyList, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, READ, None, decision).await?;
        self.looked(holder, None, decision).await?;
        let active = rooms.policies.active().hash();
        Ok(PolicyList {
            active: hex(&active),
            source: rooms.policies.source().to_owned(),
            shadow: rooms.policies.shadow().map(|set| hex(&set.hash())),
            proposals: rooms.store.proposals().await?.iter().map(|proposal| told(proposal, &active)).collect(),
            withdrawn: self.withdrawn(None).await?,
            activations: rooms.store.policy_history(None, LATEST).await?.into_iter().map(activation).collect(),
        })
    }

    /// One stored set with its files. Needs the right `policy.read`.
    pub async fn show(&self, holder: &Holder, hash: &str, decision: Uuid) -> Result<PolicyDetail, Error> {
        let store = &self.rooms.store;
        holder.require(&self.rooms, READ, None, decision).await?;
        let (hash, stored_at) = self.named(hash).await?;
        self.looked(holder, Some(&hash), decision).await?;
        let active = self.rooms.policies.active().hash();
        let files = store.policy_files(&hash).await?.ok_or(Code::NotFound)?;
        let proposals = store.proposals().await?;
        Ok(PolicyDetail {
            hash: hex(&hash),
            active: hash == active,
            stored_at,
            proposal: proposals.iter().find(|proposal| proposal.hash == hash).map(|proposal| told(proposal, &active)),
            withdrawn: self.withdrawn(Some(&hash)).await?,
            activations: store.policy_history(Some(&hash), LATEST).await?.into_iter().map(activation).collect(),
            files: files.into_iter().map(|(path, text)| PolicyFile { path, text }).collect(),
        })
    }

    async fn withdrawn(&self, of: Option<&[u8; 32]>) -> Result<Vec<PolicyWithdrawal>, Error> {
        Ok(self.rooms.store.withdrawn_policies(of, LATEST_WITHDRAWN).await?.into_iter().map(withdrawal).collect())
    }

    async fn looked(&self, holder: &Holder, hash: Option<&[u8; 32]>, decision: Uuid) -> Result<(), Error> {
        let record = self.act(holder, Kind::PolicyRead, hash, decision)?;
        self.rooms.store.remember(record).await.map_err(Error::from_write)?;
        Ok(())
    }

    /// The stored set whose hash is or begins so.
    pub(super) async fn named(&self, hash: &str) -> Result<([u8; 32], OffsetDateTime), Error> {
        let hash = hash.to_ascii_lowercase();
        if !(SHORTEST..=64).contains(&hash.len()) || !hash.chars().all(|sign| sign.is_ascii_hexdigit()) {
            return Err(Refusal::new(Code::RequestMalformed).hint("a hash is 8 to 64 hexadecimal digits").into());
        }
        match self.rooms.store.policies_like(&hash).await?.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err(Refusal::new(Code::NotFound).hint(format!("no stored policy set has a hash that begins with {hash}")).into())
            }
            _ => Err(Refusal::new(Code::NotFound).hint(format!("several hashes begin with {hash}: give more of it")).into()),
        }
    }
}

fn told(proposal: &Proposal, active: &[u8; 32]) -> PolicyProposal {
    PolicyProposal {
        hash: hex(&proposal.hash),
        author: who(proposal.author.clone()),
        at: proposal.at,
        reason: proposal.reason.clone(),
        stale: proposal.base != *active,
    }
}

fn activation(activated: Activated) -> PolicyActivation {
    PolicyActivation {
        hash: hex(&activated.hash),
        at: activated.at,
        source: activated.source,
        author: activated.author.map(who),
        approver: activated.approver.map(who),
    }
}

pub(super) fn withdrawal(withdrawn: Withdrawn) -> PolicyWithdrawal {
    PolicyWithdrawal {
        hash: hex(&withdrawn.hash),
        author: who(withdrawn.author),
        proposed_at: withdrawn.proposed_at,
        reason: withdrawn.reason,
        by: who(withdrawn.by),
        at: withdrawn.at,
    }
}

fn who(author: Author) -> PolicyAuthor {
    PolicyAuthor { name: author.name, session_id: author.session.to_string() }
}

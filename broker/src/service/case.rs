//! What every step of one ask needs to know, and what an ask that opens its session brings with it.

use domain::audit::Kind;
use domain::policy::{Allowed, PolicySet};
use time::OffsetDateTime;
use uuid::Uuid;

use super::subject::Subject;
use crate::audit::asked::Asked;
use crate::audit::log::About;
use crate::audit::shadowed::Shadowed;
use crate::store::{NewSession, TokenUse};

/// What every step of one ask needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub decision: Uuid,
    /// Whether this ask opens its session.
    pub opens: bool,
    pub set: &'a PolicySet,
    pub subject: &'a Subject,
    pub asked: Asked<'a>,
    pub allowed: &'a Allowed,
    /// What the set that looks on would have said, where it differs.
    pub shadow: Option<&'a Shadowed>,
    pub session: Uuid,
    /// The moment of the decision, from which everything of this ask is counted.
    pub now: OffsetDateTime,
    pub ends_at: OffsetDateTime,
}

impl Case<'_> {
    /// What a record about this ask says of its subject.
    pub(super) fn about(&self) -> About<'_> {
        let (role, row) = (Some(self.allowed.role.as_str()), Some(self.allowed.row));
        About {
            asked: self.asked,
            shadow: self.shadow,
            ..self.subject.about(self.decision, Some(self.session), self.set.hash(), role, row)
        }
    }

    /// The same for a refusal: an ask that was to open its session has opened none.
    pub(super) fn refused(&self) -> About<'_> {
        About { session: (!self.opens).then_some(self.session), ..self.about() }
    }

    pub(super) const fn word(&self, opening: Kind, later: Kind) -> Kind {
        if self.opens { opening } else { later }
    }
}

/// What the first transaction of an ask with a token writes beside leases.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) session: NewSession,
    pub(super) token_use: TokenUse,
}

impl Case<'_> {
    /// The session that this ask opens, and the use of the token that it spends.
    pub(super) fn opening(&self, token_hash: [u8; 32], idempotency: Option<[u8; 32]>, token_use: TokenUse) -> Opening {
        let job = &self.subject.job;
        let session = NewSession {
            id: self.session,
            token_hash,
            issuer: self.subject.issuer.clone(),
            role: self.allowed.role.clone(),
            project: job.project.clone(),
            project_name: job.project_name.clone(),
            run: job.run.clone(),
            attempt: job.attempt.clone(),
            job: job.job.clone(),
            idempotency,
            opened_at: self.now,
            ends_at: self.ends_at,
        };
        Opening { session, token_use }
    }
}

//! A request that comes again: never two live credentials of one token and one key.

use domain::refusal::{Code, Refusal};
use uuid::Uuid;

use super::Exchange;
use crate::service::error::Error;

/// What becomes of a repeat.
pub(super) enum Repeat {
    /// In place of this session, which has been ended.
    Over(Uuid),
    /// As if it were the first time.
    Anew,
    Refuse(Refusal),
}

impl Exchange {
    /// Whether a token that was used may be used again: only by the same `Idempotency-Key`, when the first attempt is over,
    /// its session has been ended and what it made has been taken back. Whoever holds the first answer then holds nothing.
    pub(super) async fn repeat(&self, decision: Uuid, first: Uuid, key: Option<[u8; 32]>) -> Result<Repeat, Error> {
        let rooms = &self.rooms;
        let used = Repeat::Refuse(Code::TokenAlreadyUsed.into());
        let Some(key) = key else { return Ok(used) };
        let Some(session) = rooms.store.session(first).await?.filter(|session| session.idempotency == Some(key)) else {
            return Ok(used);
        };
        if rooms.leases.take_back_session(&session, decision).await? {
            Ok(Repeat::Over(first))
        } else {
            Ok(Repeat::Refuse(Refusal::new(Code::InProgress).retry_after(2)))
        }
    }
}

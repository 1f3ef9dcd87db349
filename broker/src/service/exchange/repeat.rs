//! A request that comes again: never two live credentials of one token and one key.

use domain::refusal::{Code, Refusal};
use uuid::Uuid;

use super::Exchange;
use crate::service::error::Error;
use crate::store::TokenUse;

/// What becomes of a repeat.
pub(super) enum Repeat {
    Again,
    Refuse(Refusal),
}

impl Exchange {
    /// The session that an earlier request with the same token and key opened.
    pub(super) async fn first_attempt(&self, token_use: &TokenUse, key: &[u8; 32]) -> Result<Option<Uuid>, Error> {
        let opened = self.rooms.store.sessions_by_use(&token_use.issuer, &token_use.token_hash).await?;
        Ok(opened.iter().find(|session| session.idempotency.as_ref() == Some(key)).map(|session| session.id))
    }

    /// Whether a token that was used may be used again: only by the same `Idempotency-Key`, when the first attempt is over,
    /// its session has been ended and what it made has been taken back. Whoever holds the first answer then holds nothing.
    pub(super) async fn repeat(&self, decision: Uuid, first: Uuid, key: Option<[u8; 32]>) -> Repeat {
        let rooms = &self.rooms;
        let used = || Repeat::Refuse(Code::TokenAlreadyUsed.into());
        let wait = || Repeat::Refuse(Refusal::new(Code::InProgress).retry_after(2));
        let Some(key) = key else { return used() };
        match rooms.store.session(first).await {
            Ok(Some(session)) if session.idempotency == Some(key) => {
                match rooms.leases.take_back_session(&session, decision).await {
                    Ok(true) => Repeat::Again,
                    Ok(false) | Err(_) => wait(),
                }
            }
            Ok(_) => used(),
            Err(_) => wait(),
        }
    }
}

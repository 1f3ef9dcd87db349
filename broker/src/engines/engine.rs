//! What every engine does: plan a credential, make it, take it back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use domain::claims::Claims;
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Connection, Connections, Secrets};
use crate::system::System;

/// In which order the credentials of one ask are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Nothing outside this process is touched.
    Local,
    /// Made in a target that can take it back.
    Revocable,
    /// Made in a target that cannot; therefore last.
    Irrevocable,
}

/// What an engine sees, and all that it sees.
#[derive(Clone, Debug)]
pub struct Bench {
    pub system: System,
    /// Names this installation in the targets: six characters of `a-z2-7`.
    pub deployment: String,
    pub connections: Connections,
    /// Stored secrets, for reading.
    pub secrets: Secrets,
}

/// One credential that is asked for.
#[derive(Debug)]
pub struct Ask<'a, P> {
    pub lease_id: Uuid,
    /// Whose job it is: for tags, comments and session names.
    pub role: &'a str,
    pub claims: &'a Claims,
    pub params: P,
    pub ttl: Duration,
    /// When the lease ends; the native expiry is never before and at most a margin after.
    pub expires_at: OffsetDateTime,
    /// After this moment the credential must not come into being.
    pub create_deadline: OffsetDateTime,
    /// What the caller sent beside the parameters (kv: the path under a glob).
    pub input: Option<&'a serde_json::Value>,
}

impl<'a, P> Ask<'a, P> {
    /// The same ask with its parameters in another form.
    pub fn with<Q>(&self, params: Q) -> Ask<'a, Q> {
        Ask {
            lease_id: self.lease_id,
            role: self.role,
            claims: self.claims,
            params,
            ttl: self.ttl,
            expires_at: self.expires_at,
            create_deadline: self.create_deadline,
            input: self.input,
        }
    }
}

/// What is recorded before anything is made.
#[derive(Debug)]
pub struct Plan {
    /// The name in the target, never reused.
    pub upstream: Option<String>,
    /// The connection whose target is touched.
    pub connection: Option<String>,
    /// What is needed to undo; sealed before it is stored.
    pub handle: Secret<Vec<u8>>,
    /// Whether the target can take it back.
    pub revocable: bool,
    /// Whether a lease stands for it (a stored secret has none).
    pub leased: bool,
}

/// What was made.
#[derive(Debug)]
pub struct Issued {
    pub values: BTreeMap<String, Secret<String>>,
    /// When the target itself ends it.
    pub native_expiry: Option<OffsetDateTime>,
    /// What may stand in the audit record: names, never secrets.
    pub facts: BTreeMap<String, String>,
}

/// How far taking back went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Nothing of it is left.
    Gone,
    /// Nobody can log in; the name is kept until then, so that nothing that is still on its way can take it.
    Held(OffsetDateTime),
    /// The login is dead; the rest could not be removed for this reason.
    Fenced(String),
}

/// A login that stands on a target under a name of this installation.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    /// The lease that such a name is made for; none where Daypass makes no such name.
    pub lease: Option<Uuid>,
    /// Whether anybody can log in as it.
    pub open: bool,
    /// When the target itself ends it or, where targets have no such end, when the longest lease of that name would.
    pub ends_at: Option<OffsetDateTime>,
    /// Whether the target keeps that end itself, so that it tells how long the login was last let live.
    pub keeps_end: bool,
    /// What is needed to shut or revoke it.
    pub handle: Secret<Vec<u8>>,
}

/// Why an engine could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The caller asked for something that the role's parameters do not cover.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The role's parameters or the connection are wrong: an operator's mistake.
    #[error("the role or its connection is not usable: {0}")]
    Misconfigured(String),
    /// The target answered no. Its permissions or the parameters need a change.
    #[error("the target refused: {0}")]
    TargetRefused(String),
    /// The target did not answer.
    #[error("the target is not available: {0}")]
    TargetUnavailable(String),
    #[error(transparent)]
    Fault(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// A kind of credential. One file per engine; the list is in `engines/mod.rs`.
pub trait Engine: Debug + Send + Sync + 'static {
    /// The word in `engine = "…"`.
    const NAME: &'static str;
    const ORDER: Order;
    type Params: DeserializeOwned + Debug + Send + Sync;

    /// Says what is wrong with a connection of this engine or, given what a role asks of it, with that. Connects to nothing.
    fn check(_: &Connection, _: Option<&Self::Params>) -> Result<(), EngineError> {
        Ok(())
    }

    /// Names what will be made. Touches nothing outside.
    fn plan(&self, bench: &Bench, ask: &Ask<'_, Self::Params>) -> impl Future<Output = Result<Plan, EngineError>> + Send;

    /// Makes it, under the planned name, before the deadline, or fails. Never retried under another name.
    fn issue(
        &self,
        bench: &Bench,
        ask: &Ask<'_, Self::Params>,
        plan: &Plan,
    ) -> impl Future<Output = Result<Issued, EngineError>> + Send;

    /// Moves the target's own end of it to `until` or a margin after, never to an earlier moment. It has been recorded before.
    fn renew(
        &self,
        _bench: &Bench,
        _handle: &Secret<Vec<u8>>,
        _until: OffsetDateTime,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        let hint = format!("the target of engine `{}` ends its credentials when it was told to first", Self::NAME);
        std::future::ready(Err(Refusal::new(Code::LeaseNotRenewable).hint(hint).into()))
    }

    /// Takes it back. Already gone is success; may be called again and again.
    fn revoke(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> impl Future<Output = Result<Revoked, EngineError>> + Send;

    /// The logins of this installation on a connection's target; `None` where the engine cannot tell.
    fn list(&self, _: &Bench, _connection: &str) -> impl Future<Output = Result<Option<Vec<Found>>, EngineError>> + Send {
        std::future::ready(Ok(None))
    }

    /// Lets nobody in any more by a login that was found, and destroys nothing. `false`: it is gone already.
    fn shut(&self, _: &Bench, _handle: &Secret<Vec<u8>>) -> impl Future<Output = Result<bool, EngineError>> + Send {
        std::future::ready(Err(EngineError::Misconfigured("this engine shuts nothing".to_owned())))
    }
}

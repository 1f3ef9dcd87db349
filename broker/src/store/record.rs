//! What one step of an exchange writes: a value, so that the writer can put many into one statement.

use aws_lc_rs::digest::{SHA256, digest};
use domain::audit;
use domain::lease::State;
use domain::secret::Secret;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// All or nothing of one step: the use of a token, a session, leases, activations, and what the log says of it.
#[derive(Debug, Default)]
pub struct Record {
    pub token_use: Option<TokenUse>,
    pub session: Option<NewSession>,
    /// A session that was opened before and on which this step builds: when it has ended, nothing is written.
    pub of_session: Option<Uuid>,
    pub leases: Vec<NewLease>,
    pub activate: Vec<Activation>,
    /// Never empty. The first one tells of the opening of the session, if there is one, with the claims that it is opened on.
    pub audit: Vec<audit::Record>,
}

/// One use of a token.
#[derive(Clone, Debug)]
pub struct TokenUse {
    pub issuer: String,
    /// SHA-256 of the `jti`, or of the token where there is none.
    pub token_hash: [u8; 32],
    /// How many uses the role allows.
    pub uses: u16,
    /// SHA-256 of the idempotency key. A key that has spent a use of this token spends no further one.
    pub idempotency: Option<[u8; 32]>,
    /// The session that the use opens.
    pub session_id: Uuid,
    /// The row is kept so long: until no verifier accepts the token any more.
    pub keep_until: OffsetDateTime,
    /// The session whose use is taken over instead of spending another one: a safe repeat. Its leases have been given
    /// back before. Of several that try, one succeeds.
    pub replaces: Option<Uuid>,
}

/// A session to be opened. Its claims are those of the audit record that is written with it.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The id of the decision that opens it.
    pub id: Uuid,
    /// SHA-256 of the session token.
    pub token_hash: [u8; 32],
    pub issuer: String,
    pub role: String,
    pub project: Option<String>,
    pub project_name: Option<String>,
    pub run: Option<String>,
    pub attempt: Option<String>,
    pub job: Option<String>,
    /// SHA-256 of the idempotency key.
    pub idempotency: Option<[u8; 32]>,
    pub opened_at: OffsetDateTime,
    pub ends_at: OffsetDateTime,
}

#[derive(Clone, Debug)]
pub struct NewLease {
    pub id: Uuid,
    /// The session of this record, or one that is open.
    pub session_id: Uuid,
    pub role: String,
    pub credential: String,
    pub engine: &'static str,
    pub connection: Option<String>,
    pub upstream: Option<String>,
    /// `Pending`; `Active` or `Passive` where nothing remains to be made.
    pub state: State,
    pub revocable: bool,
    /// What is needed to undo; sealed before it is written.
    pub handle: Secret<Vec<u8>>,
    pub issued_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub create_deadline: OffsetDateTime,
    /// Refused when the role has so many live leases already. Each replica counts exactly what is committed and what it
    /// writes itself; replicas that write at the same moment can together exceed it by what they have in flight.
    pub max_live_of_role: u32,
    /// The same for its session.
    pub max_live_of_session: u32,
    /// The same for its connection, where it has one.
    pub max_live_of_connection: Option<u32>,
}

/// What has as many live leases as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Role,
    Session,
    Connection,
}

impl Quota {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Session => "session",
            Self::Connection => "connection",
        }
    }
}

/// A lease whose credential was made.
#[derive(Clone, Debug)]
pub struct Activation {
    pub lease_id: Uuid,
    /// `Active` or `Passive`.
    pub to: State,
    pub expires_at: OffsetDateTime,
    /// Keyed hashes of what is handed out, from [`super::Store::mark`].
    pub marks: Vec<Uuid>,
}

/// The record is durable. Only the store makes one.
#[derive(Debug)]
#[must_use = "nothing may leave the process before this value exists"]
pub struct Written(pub(super) ());

impl TokenUse {
    /// What the token is known by, as issuers name their tokens independently of each other: the first 128 bits of SHA-256
    /// over the issuer's URL, ended by a zero byte, and the token's hash. Who could make two tokens meet there would have
    /// one of them refused.
    pub(super) fn key(&self) -> Uuid {
        let hash = digest(&SHA256, &[self.issuer.as_bytes(), &[0], &self.token_hash].concat());
        let mut key = [0; 16];
        key.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Uuid::from_bytes(key)
    }
}

/// Why a record was not written. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Every use of the token is spent, or its key has spent one: the session that the key opened, else the one that the
    /// latest use opened. `None`: no use of it stands any more.
    #[error("the token has been used before")]
    TokenAlreadyUsed { session: Option<Uuid> },
    #[error("the {} has as many live leases as it may have", .0.as_str())]
    Quota(Quota),
    /// A lease that was to be activated is no longer pending.
    #[error("a lease is no longer pending; a sweep has taken it")]
    Moved,
    /// The session that was to get leases has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The job whose session was to be opened is over.
    #[error("the job has ended")]
    JobEnded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

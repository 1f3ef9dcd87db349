//! One record of what happened, and the bytes that stand for it for ever.
//!
//! A record carries enough to replay a decision: the claims that were used, the hash of the policy set, role, row, outcome
//! and code. Its canonical bytes are what a leaf hash commits to, so two different records never share them. Values that
//! name a person enter as salted hashes; their clear form stands in rows beside the record that can be erased without
//! touching what the hash commits to.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::claims::{Claims, Json, Object};

mod canonical;
mod compact;

pub use canonical::Unreadable;

macro_rules! kinds {
    ($($variant:ident $word:literal $sentence:literal;)*) => {
        /// What a record tells. Words are never renamed or reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $(#[doc = $sentence] $variant,)* }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

kinds! {
    ExchangeAsked "exchange.asked" "A token was verified and allowed; its credentials are about to be made.";
    ExchangeGranted "exchange.granted" "Credentials were made for a token and handed out.";
    ExchangeRejoined "exchange.rejoined" "A token came again and rejoined the session that it had opened.";
    ExchangeDenied "exchange.denied" "A verified token was refused.";
    ExchangeFailed "exchange.failed" "Credentials that were allowed could not be made; nothing was handed out.";
    SessionAsked "session.asked" "A session was allowed more credentials; they are about to be made.";
    SessionGranted "session.granted" "Credentials were made for a session and handed out.";
    SessionDenied "session.denied" "A later ask of a session was refused.";
    SessionFailed "session.failed" "Credentials that a session was allowed could not be made; nothing was handed out.";
    SessionEnded "session.ended" "A session was ended before its time.";
    LeaseReleased "lease.released" "A holder or an operator gave a lease back.";
    LeaseRevoked "lease.revoked" "The credential of a lease was taken back.";
    LeaseFenced "lease.fenced" "The login of a lease is dead, the rest of it could not be removed yet.";
    LeaseRetried "lease.retried" "Taking back the credential of a lease failed and will be tried again.";
    LeaseExpired "lease.expired" "The credential of a lease ended by its own clock.";
    LeaseListed "lease.listed" "An operator looked at leases.";
    LeaseFound "lease.found" "An operator asked whose a string is.";
    LeaseRevocation "lease.revocation" "An operator had leases taken back.";
    LeaseRenewed "lease.renewed" "A lease was made to last longer.";
    LeaseNotRenewed "lease.not_renewed" "The target did not let a lease last longer; its end is the old one.";
    ExchangeStopped "exchange.stopped" "An operator stopped exchanges and ended what came of earlier ones.";
    ExchangeAllowedAgain "exchange.allowed_again" "An operator lifted a stop of exchanges.";
    LeaseLost "lease.lost" "The login of an active lease is gone from its target, and nobody here took it back.";
    LeasesReconciled "leases.reconciled" "An operator had the leases compared with their targets.";
    StrayQuarantined "stray.quarantined" "A login that no open lease accounts for was shut.";
    StrayDropped "stray.dropped" "A login that no open lease accounts for was dropped.";
    HoldBegan "hold.began" "The database had gone back in time; taking back waits for an operator.";
    HoldLifted "hold.lifted" "An operator let taking back go on.";
    SecretWritten "secret.written" "An operator wrote a version of a secret.";
    SecretRead "secret.read" "An operator read a secret.";
    SecretListed "secret.listed" "An operator listed secrets or the versions of one.";
    SecretRolledBack "secret.rolled_back" "An operator made an older version of a secret the current one.";
    SecretDeleted "secret.deleted" "An operator deleted a version of a secret.";
    SecretDestroyed "secret.destroyed" "An operator destroyed a version of a secret for good.";
    ConnectionWritten "connection.written" "A connection was stored.";
    ConnectionDeleted "connection.deleted" "A connection was removed.";
    PolicyActivated "policy.activated" "A policy set became the active one.";
    PolicyProposed "policy.proposed" "A policy set waits for a second operator.";
    PolicyApproved "policy.approved" "A second operator approved a policy set.";
    PolicyWithdrawn "policy.withdrawn" "A policy set that waited for a second operator was taken back.";
    PolicyRefused "policy.refused" "A policy set that an operator pushed was refused.";
    PolicyShadowed "policy.shadowed" "A policy set began to look on, or stopped to.";
    PolicyRead "policy.read" "An operator looked at policy sets.";
    IssuerDisabled "issuer.disabled" "An operator switched an issuer off.";
    IssuerEnabled "issuer.enabled" "An operator switched an issuer on again.";
    RoleDisabled "role.disabled" "An operator switched a role off.";
    RoleEnabled "role.enabled" "An operator switched a role on again.";
    OperatorBootstrap "operator.bootstrap" "A single-use token for the first operator was made.";
    OperatorBootstrapped "operator.bootstrapped" "The single-use token for the first operator was spent.";
    OperatorDenied "operator.denied" "An operator lacked the right for a request.";
    AuditRead "audit.read" "An operator read the audit trail.";
    DecisionExplained "decision.explained" "An operator had a recorded decision explained.";
    KeyRotated "key.rotated" "A new generation of the data key became the active one.";
    KeyRetired "key.retired" "A generation of the data key protects nothing any more.";
    BrokerStarted "broker.started" "A replica of the broker started.";
    DatabaseFull "database.full" "The database takes records again after it had no room for them.";
    DenialsCounted "denials.counted" "Refusals beyond the recorded ones, as exact counts.";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word).ok_or(UnknownKind)
    }
}

/// The word is no kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of audit record")]
pub struct UnknownKind;

/// What the names of fields that are claims begin with.
pub const CLAIM: &str = "claim.";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub id: Uuid,
    /// When, in whole microseconds.
    pub at: OffsetDateTime,
    pub kind: Kind,
    /// The request it belongs to; several records can share it.
    pub decision_id: Uuid,
    pub session_id: Option<Uuid>,
    pub lease_id: Option<Uuid>,
    pub issuer: Option<String>,
    /// The immutable id of the project.
    pub project: Option<String>,
    pub project_name: Option<String>,
    pub role: Option<String>,
    /// The refusal code, where it tells of a refusal.
    pub code: Option<String>,
    /// The policy set that decided.
    pub policy_hash: Option<[u8; 32]>,
    /// The row of the role that decided.
    pub row: Option<u32>,
    /// Everything else by name, claims as `claim.<name>`. Never a secret.
    pub fields: BTreeMap<String, Json>,
    /// Values that name a person, by name.
    pub personal: BTreeMap<String, Personal>,
}

/// A value that names a person: what is committed to, and, until it is erased, the value itself.
#[derive(Clone, PartialEq)]
pub struct Personal {
    hash: [u8; 32],
    clear: Option<Clear>,
}

/// What the erasable row beside a record holds.
#[derive(Clone, PartialEq)]
pub struct Clear {
    pub salt: [u8; 16],
    pub value: Json,
}

impl Record {
    /// A record with nothing but its frame. `at` is cut to whole microseconds, which is what the database keeps.
    pub fn new(id: Uuid, at: OffsetDateTime, kind: Kind, decision_id: Uuid) -> Self {
        Self {
            id,
            at: at.replace_nanosecond(at.microsecond() * 1_000).unwrap_or(at),
            kind,
            decision_id,
            session_id: None,
            lease_id: None,
            issuer: None,
            project: None,
            project_name: None,
            role: None,
            code: None,
            policy_hash: None,
            row: None,
            fields: BTreeMap::new(),
            personal: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    #[must_use]
    pub fn personal(mut self, name: impl Into<String>, salt: [u8; 16], value: impl Into<Json>) -> Self {
        self.personal.insert(name.into(), Personal::new(salt, value));
        self
    }

    /// The bytes that stand for this record: equal for equal records, different for different ones.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::write(self)
    }

    /// Reads canonical bytes back; personal values come back as their hashes.
    pub fn parse(canonical: &[u8]) -> Result<Self, Unreadable> {
        canonical::read(canonical)
    }

    /// The claims of the token that it tells of, as far as they have not been erased. Personal values are those given.
    pub fn claims(&self, personal: &BTreeMap<String, Json>) -> Claims {
        let clear = self.fields.iter().chain(personal.iter().filter(|(name, _)| self.personal.contains_key(*name)));
        let claims = clear.filter_map(|(name, value)| Some((name.strip_prefix(CLAIM)?.to_owned(), value.clone())));
        Claims::from_verified(claims.collect::<Object>())
    }

    /// Everything but the frame (policy hash, row, fields, hashes of personal values) in few bytes, for keeping. Nothing is
    /// committed to them.
    pub fn compact(&self) -> Vec<u8> {
        compact::write(self)
    }

    /// A record of which the frame is known, with what [`Record::compact`] kept; personal values come back as their hashes.
    pub fn with_compact(mut self, bytes: &[u8]) -> Result<Self, Unreadable> {
        compact::read(&mut self, bytes)?;
        Ok(self)
    }

    /// Every field by name as text, for people. Personal values are those given, or say that they were erased.
    pub fn as_text(&self, personal: &BTreeMap<String, Json>) -> BTreeMap<String, String> {
        let mut fields: BTreeMap<String, String> = self.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        for name in self.personal.keys() {
            fields.insert(name.clone(), personal.get(name).map_or_else(|| "(erased)".to_owned(), text));
        }
        let frame = [
            ("decision_id", Some(self.decision_id.to_string())),
            ("session_id", self.session_id.map(|id| id.to_string())),
            ("lease_id", self.lease_id.map(|id| id.to_string())),
            ("issuer", self.issuer.clone()),
            ("project", self.project.clone()),
            ("project_name", self.project_name.clone()),
            ("role", self.role.clone()),
            ("code", self.code.clone()),
            ("policy_hash", self.policy_hash.map(|hash| hex(&hash))),
            ("row", self.row.map(|row| row.to_string())),
        ];
        fields.extend(frame.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        fields
    }
}

impl Personal {
    pub fn new(salt: [u8; 16], value: impl Into<Json>) -> Self {
        let value = value.into();
        let mut digest = Context::new(&SHA256);
        digest.update(&salt);
        // Values are made of texts, numbers and maps of them, which JSON can always hold.
        digest.update(&serde_json::to_vec(&value).unwrap_or_default());
        Self { hash: take32(digest), clear: Some(Clear { salt, value }) }
    }

    /// SHA-256 over salt and the value as JSON.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The clear value, unless it was read back from canonical bytes.
    pub const fn clear(&self) -> Option<&Clear> {
        self.clear.as_ref()
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(…)")
    }
}

impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clear(…)")
    }
}

/// The leaf hash of canonical bytes in an RFC 6962 tree: SHA-256(0x00 ‖ bytes).
pub fn leaf(canonical: &[u8]) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(&[0]);
    digest.update(canonical);
    take32(digest)
}

fn take32(digest: Context) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.finish().as_ref()) {
        *to = *from;
    }
    hash
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;

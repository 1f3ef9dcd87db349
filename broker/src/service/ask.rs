//! What is asked and what is answered, whatever door it came through.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use time::OffsetDateTime;
use uuid::Uuid;

use super::making::Given;
use crate::audit::asked::Asked;
use crate::store::sessions::Session;

/// The longest name of a role or credential that is looked up at all; the policy's own are at most 64 bytes.
const NAME: usize = 128;
/// The most names in one ask.
const NAMES: usize = 64;

/// What a door was asked for.
#[derive(Debug)]
pub struct Ask {
    /// The request's id, under which the decision is remembered.
    pub decision: Uuid,
    pub token: Secret<String>,
    pub role: Option<String>,
    /// None means all of the role that can be made without more words.
    pub credentials: Vec<String>,
    pub ttl: Option<Duration>,
    pub idempotency: Option<String>,
    /// Open the session and make nothing yet.
    pub session_only: bool,
}

/// What a session asks for later on.
#[derive(Debug)]
pub struct Further {
    pub decision: Uuid,
    pub credentials: Vec<String>,
    pub ttl: Option<Duration>,
    pub inputs: BTreeMap<String, serde_json::Value>,
}

/// What is answered. It exists in this process only and is never stored.
#[derive(Debug)]
pub struct Granted {
    pub decision: Uuid,
    pub role: String,
    pub session: Uuid,
    /// Only for the ask that opened the session.
    pub session_token: Option<Secret<String>>,
    pub session_ends: OffsetDateTime,
    pub credentials: Vec<Given>,
}

/// Names of the policy are short and plain; what is not, cannot be one and does not enter the record.
pub(super) fn named_plainly<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), Refusal> {
    let (mut count, mut plain) = (0_usize, true);
    for name in names {
        count = count.saturating_add(1);
        plain &= (1..=NAME).contains(&name.len()) && !name.contains(char::is_control);
    }
    if plain && count <= NAMES {
        return Ok(());
    }
    let hint = format!("role and credentials: at most {NAMES} names of 1 to {NAME} bytes without control characters");
    Err(Refusal::new(Code::RequestMalformed).hint(hint))
}

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) session: Option<&'a Session>,
    pub(super) role: Option<&'a str>,
    /// `None`: the role alone. None named: all of the role.
    pub(super) credentials: Option<&'a [String]>,
    pub(super) ttl: Option<Duration>,
    pub(super) decision: Uuid,
}

impl<'a> Wish<'a> {
    /// What of it is remembered beside the role.
    pub(super) fn asked(&self) -> Asked<'a> {
        Asked {
            any_role: self.role.is_none(),
            credentials: self.credentials.unwrap_or_default(),
            ttl: self.ttl,
            session_only: self.credentials.is_none(),
            session_ends: self.session.map(|session| session.ends_at),
        }
    }
}

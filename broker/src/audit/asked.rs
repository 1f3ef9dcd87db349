//! What an ask said beside its role. It is recorded where something was said, so that a decision can be decided once more.

use std::time::Duration;

use domain::audit::Record;
use domain::claims::Json;
use time::OffsetDateTime;

const ANY_ROLE: &str = "asked.any_role";
const CREDENTIALS: &str = "asked.credentials";
const TTL: &str = "asked.ttl";
const SESSION_ONLY: &str = "asked.session_only";
const SESSION_ENDS: &str = "asked.session_ends";

/// What was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// No role was named.
    pub any_role: bool,
    pub credentials: &'a [String],
    pub ttl: Option<Duration>,
    /// The role alone was asked for.
    pub session_only: bool,
    /// When the session ends that asks for more.
    pub session_ends: Option<OffsetDateTime>,
}

impl Asked<'_> {
    /// The record with it; nothing where nothing was said.
    #[must_use]
    pub fn write(&self, mut record: Record) -> Record {
        if self.any_role {
            record = record.field(ANY_ROLE, true);
        }
        if !self.credentials.is_empty() {
            let names = self.credentials.iter().map(|name| Json::from(name.as_str()));
            record = record.field(CREDENTIALS, Json::Array(names.collect()));
        }
        if let Some(ttl) = self.ttl {
            record = record.field(TTL, i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
        }
        if self.session_only {
            record = record.field(SESSION_ONLY, true);
        }
        if let Some(ends) = self.session_ends {
            record = record.field(SESSION_ENDS, ends.unix_timestamp());
        }
        record
    }
}

/// The same as a record remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    pub any_role: bool,
    pub credentials: Vec<String>,
    pub ttl: Option<Duration>,
    pub session_only: bool,
    /// Unix seconds.
    pub session_ends: Option<i64>,
}

impl Recalled {
    pub fn of(record: &Record) -> Self {
        let number = |name: &str| record.fields.get(name).and_then(Json::as_int);
        let credentials = match record.fields.get(CREDENTIALS) {
            Some(Json::Array(names)) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        Self {
            any_role: record.fields.contains_key(ANY_ROLE),
            credentials,
            ttl: number(TTL).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
            session_only: record.fields.contains_key(SESSION_ONLY),
            session_ends: number(SESSION_ENDS),
        }
    }
}

//! A kind of CI system that reports the ends of its jobs.

use std::collections::HashMap;
use std::fmt::Debug;
use std::num::NonZeroU64;

use domain::secret::Secret;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::store::job_ends::{Ended, JobEnd};

/// The headers of a delivery that stand once and are text, by their names in lower case.
pub type Shown<'a> = HashMap<&'a str, &'a str>;

/// How far a delivery proves where it comes from. What is better comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    Unproven,
    /// Proven, but by a signature of another time: whoever overheard the delivery can send it as well.
    Stale,
    Proven,
}

/// One file per kind; the list is in `hooks.rs`.
pub trait Sender: Debug + Send + Sync {
    /// The header that tells what kind of event the body tells of.
    fn event(&self) -> &'static str;

    /// The header with what the sender calls the delivery. It is remembered and believed nowhere.
    fn delivery(&self) -> &'static str;

    /// Whether who sent this knows the secret. Takes as long for a wrong proof as for the right one.
    fn proof(&self, secret: &Secret<String>, shown: &Shown<'_>, body: &[u8], now: OffsetDateTime) -> Proof;

    /// Whether these could prove a body that is not read yet.
    fn may_prove(&self, secret: &Secret<String>, shown: &Shown<'_>) -> bool;

    /// What has ended by this event; nothing for events of other kinds. The error tells where the body is not as
    /// documented, and none of its values.
    fn ended(&self, event: &str, body: &[u8]) -> Result<Vec<JobEnd>, String>;
}

impl From<bool> for Proof {
    fn from(proven: bool) -> Self {
        if proven { Self::Proven } else { Self::Unproven }
    }
}

/// An id as CI systems number things. A text or a fraction is none, whatever it looks like.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Id(NonZeroU64);

impl Id {
    /// As tokens spell it.
    pub(super) fn text(self) -> String {
        self.0.to_string()
    }

    /// The end of the job of this id.
    pub(super) fn ended(self, project: Self, run: Self) -> JobEnd {
        JobEnd { project: project.text(), run: run.text(), ended: Ended::Job(self.text()) }
    }
}

/// The body as JSON. Members that it does not know are passed over; those that it knows stand once and have their type.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("line {}, column {}: not as documented", error.line(), error.column()))
}

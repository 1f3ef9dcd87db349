//! A kind of CI system that reports the ends of its jobs.

use std::fmt::Debug;
use std::num::NonZeroU64;

use domain::secret::Secret;
use serde::Deserialize;

use crate::store::job_ends::{Ended, JobEnd};

/// The headers of a delivery that matter.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// What proves that the delivery comes from who knows the secret.
    pub proof: &'static str,
    /// What kind of event the body tells of.
    pub event: &'static str,
    /// What the sender calls the delivery. Nothing proves it: it is remembered and believed nowhere.
    pub delivery: &'static str,
}

/// One file per kind; the list is in `hooks.rs`.
pub trait Sender: Debug + Send + Sync {
    fn headers(&self) -> Headers;

    /// Whether who made `proof` for `body` knows the secret. Takes as long for a wrong proof as for the right one.
    fn proves(&self, secret: &Secret<String>, proof: &str, body: &[u8]) -> bool;

    /// Whether `proof` could prove a body that is not read yet.
    fn may_prove(&self, secret: &Secret<String>, proof: &str) -> bool;

    /// What has ended by this event; nothing for events of other kinds. The error tells where the body is not as
    /// documented, and none of its values.
    fn ended(&self, event: &str, body: &[u8]) -> Result<Vec<JobEnd>, String>;
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

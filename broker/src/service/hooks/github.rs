//! GitHub: `workflow_job` ends one job, `workflow_run` those of the attempt whose tokens name no job.
//!
//! The id of a job is that of its check run, which tokens carry as `check_run_id`. The signature covers the body alone, so
//! the header that names the event is believed only as far as the body has the members of that event.

use aws_lc_rs::hmac;
use domain::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use super::sender::{Id, Proof, Sender, Shown, read};
use crate::store::job_ends::{Ended, JobEnd};

#[derive(Debug)]
pub(super) struct GitHub;

#[derive(Deserialize)]
struct Repository {
    id: Id,
}

#[derive(Deserialize)]
struct JobEvent {
    action: String,
    repository: Repository,
    workflow_job: Job,
}

#[derive(Deserialize)]
struct Job {
    id: Id,
    run_id: Id,
}

#[derive(Deserialize)]
struct RunEvent {
    action: String,
    repository: Repository,
    workflow_run: Run,
}

#[derive(Deserialize)]
struct Run {
    id: Id,
    run_attempt: Id,
}

const COMPLETED: &str = "completed";

impl Sender for GitHub {
    fn event(&self) -> &'static str {
        "x-github-event"
    }

    fn delivery(&self) -> &'static str {
        "x-github-delivery"
    }

    fn proof(&self, secret: &Secret<String>, shown: &Shown<'_>, body: &[u8], _: OffsetDateTime) -> Proof {
        let Some(signature) = signature(shown) else { return Proof::Unproven };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        hmac::verify(&key, body, &signature).is_ok().into()
    }

    /// A signature tells nothing without what it signs.
    fn may_prove(&self, _: &Secret<String>, shown: &Shown<'_>) -> bool {
        signature(shown).is_some()
    }

    fn ended(&self, event: &str, body: &[u8]) -> Result<Vec<JobEnd>, String> {
        match event {
            "workflow_job" => {
                let JobEvent { action, repository, workflow_job: job } = read(body)?;
                Ok((action == COMPLETED).then(|| job.id.ended(repository.id, job.run_id)).into_iter().collect())
            }
            "workflow_run" => {
                let RunEvent { action, repository, workflow_run: run } = read(body)?;
                let ended = Ended::Attempt(run.run_attempt.text());
                let end = JobEnd { project: repository.id.text(), run: run.id.text(), ended };
                Ok((action == COMPLETED).then_some(end).into_iter().collect())
            }
            _ => read::<IgnoredAny>(body).map(|_| Vec::new()),
        }
    }
}

fn signature(shown: &Shown<'_>) -> Option<[u8; 32]> {
    shown.get("x-hub-signature-256").and_then(|proof| proof.strip_prefix("sha256=")).and_then(unhex)
}

/// 32 bytes from 64 hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

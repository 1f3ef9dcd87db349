//! GitLab: job events end one job, pipeline events those of their jobs that are over.
//!
//! A pipeline that has ended can begin again when one of its jobs is retried, so only jobs are believed to be over: a retried
//! one gets a new id, and what is over stays over.

use aws_lc_rs::digest::{SHA256, digest};
use domain::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use super::sender::{Id, Proof, Sender, Shown, read};
use super::signed;
use crate::store::job_ends::JobEnd;

#[derive(Debug)]
pub(super) struct GitLab;

#[derive(Deserialize)]
struct JobEvent {
    build_id: Id,
    build_status: String,
    pipeline_id: Id,
    project_id: Id,
}

#[derive(Deserialize)]
struct PipelineEvent {
    object_attributes: Pipeline,
    project: Project,
    builds: Vec<Build>,
}

#[derive(Deserialize)]
struct Pipeline {
    id: Id,
}

#[derive(Deserialize)]
struct Project {
    id: Id,
}

#[derive(Deserialize)]
struct Build {
    id: Id,
    status: String,
}

/// Whether a job of this status has run and runs no more. One that was skipped or waits for a person never had a token.
fn over(status: &str) -> bool {
    ["success", "failed", "canceled"].contains(&status)
}

impl Sender for GitLab {
    fn event(&self) -> &'static str {
        "x-gitlab-event"
    }

    fn delivery(&self) -> &'static str {
        "idempotency-key"
    }

    /// Each secret is proven in the one way that is its own: what signs is not to be shown, and what is shown does not sign.
    fn proof(&self, secret: &Secret<String>, shown: &Shown<'_>, body: &[u8], now: OffsetDateTime) -> Proof {
        if signed::signs(secret) {
            return signed::proof(secret, shown, body, now);
        }
        is_shown(secret, shown).into()
    }

    /// A signature tells nothing without what it signs; a token tells all.
    fn may_prove(&self, secret: &Secret<String>, shown: &Shown<'_>) -> bool {
        if signed::signs(secret) { signed::is_there(shown) } else { is_shown(secret, shown) }
    }

    fn ended(&self, event: &str, body: &[u8]) -> Result<Vec<JobEnd>, String> {
        match event {
            "Job Hook" => {
                let job: JobEvent = read(body)?;
                Ok(over(&job.build_status).then(|| job.build_id.ended(job.project_id, job.pipeline_id)).into_iter().collect())
            }
            "Pipeline Hook" => {
                let PipelineEvent { object_attributes: pipeline, project, builds } = read(body)?;
                let builds = builds.iter().filter(|build| over(&build.status));
                Ok(builds.map(|build| build.id.ended(project.id, pipeline.id)).collect())
            }
            _ => read::<IgnoredAny>(body).map(|_| Vec::new()),
        }
    }
}

/// By hashes, so that not even the length is told by the time it takes.
fn is_shown(secret: &Secret<String>, shown: &Shown<'_>) -> bool {
    let hash = |text: &str| Secret::new(digest(&SHA256, text.as_bytes()).as_ref().to_vec());
    hash(secret.expose()) == hash(shown.get("x-gitlab-token").copied().unwrap_or_default())
}

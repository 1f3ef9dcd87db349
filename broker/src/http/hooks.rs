//! `POST /api/v1/hooks/{issuer}`: where CI systems tell of their jobs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use domain::wire::Problem;
use uuid::Uuid;

use super::large::{Large, Vouch, Vouched};
use super::problem::Context;
use super::read;
use crate::service::error::Error;
use crate::service::hooks::{Hooks, Received, Shown};

/// The largest delivery: a pipeline of some thousand jobs.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// How many that are larger than other requests may be there at once. GitHub's are read before anybody knows whose they are.
const LARGE: usize = 8;
/// How long these may take. CI systems send what they have at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// How large the bodies of deliveries may be.
pub fn bodies(hooks: Hooks) -> Large {
    Large::new(BODY_LIMIT, PATIENCE, LARGE, Arc::new(hooks))
}

/// For who knows of a hook, and has what could prove it.
impl Vouch for Hooks {
    fn vouch<'a>(&'a self, head: &'a mut Parts, _: Uuid) -> Vouched<'a> {
        Box::pin(async move {
            let issuer = Path::<String>::from_request_parts(head, &()).await.map(|Path(issuer)| issuer).unwrap_or_default();
            Ok(self.may_prove(&issuer, &shown(&head.headers))?)
        })
    }
}

/// The routes that CI systems use.
pub fn router(hooks: Hooks) -> Router {
    Router::new().route("/api/v1/hooks/{issuer}", post(receive)).with_state(Arc::new(hooks))
}

/// Takes a delivery of a CI system's webhook: the end of a job ends its sessions.
///
/// GitHub signs the body (`X-Hub-Signature-256`) and tells of `workflow_job` and `workflow_run`; GitLab signs it with the
/// delivery's id and time (`Webhook-Signature`) or shows its secret token (`X-Gitlab-Token`), and tells of jobs and pipelines.
/// Every other event is passed over.
#[utoipa::path(
    post,
    path = "/api/v1/hooks/{issuer}",
    tag = "native",
    params(("issuer" = String, Path, description = "The issuer's name in the policy set")),
    request_body(content = Object, description = "As the CI system documents it", content_type = "application/json"),
    responses(
        (status = 202, description = "It tells of the end of a job and is carried out"),
        (status = 204, description = "It tells of something else"),
        (status = 400, description = "It cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "It does not prove where it comes from", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such hook", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "It is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many at once", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive(
    State(hooks): State<Arc<Hooks>>,
    Extension(context): Extension<Context>,
    issuer: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let issuer = issuer.map(|Path(issuer)| issuer).unwrap_or_default();
    match carry_out(&hooks, &issuer, &headers, body).await {
        Ok(Received::Noted) => StatusCode::ACCEPTED.into_response(),
        Ok(Received::Passed) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => context.problem(&error),
    }
}

async fn carry_out(hooks: &Hooks, issuer: &str, headers: &HeaderMap, body: Body) -> Result<Received, Error> {
    hooks.check(issuer)?;
    let body = read::all(body, BODY_LIMIT).await?;
    let shown = shown(headers);
    let is_json = shown.get(CONTENT_TYPE.as_str()).is_some_and(|kind| read::is_json(kind));
    hooks.receive(issuer, &shown, is_json, &body).await
}

fn shown(headers: &HeaderMap) -> Shown<'_> {
    headers.keys().filter_map(|name| Some((name.as_str(), one(headers, name)?))).collect()
}

/// A header that stands once and is text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

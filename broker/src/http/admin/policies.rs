//! `/api/v1/policies`: versions of the policy set.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use domain::audit::hex;
use domain::wire::{PolicyDetail, PolicyList, PolicyPush, PolicyPushed, PolicyShadow, PolicyTerms, PolicyWithdrawal, Problem};
use serde::Serialize;
use uuid::Uuid;

use super::Admin;
use crate::http::large::{Large, Vouch, Vouched};
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;
use crate::service::policies::Pushed;

/// The largest set: a thousand teams with a file each.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// How many that are larger than other requests may be there at once.
const LARGE: usize = 2;
/// How long these may take: as long as any request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How large the bodies of requests about sets may be.
pub fn bodies(admin: Admin) -> Large {
    Large::new(BODY_LIMIT, PATIENCE, LARGE, Arc::new(admin))
}

/// For operators who may change the set.
impl Vouch for Admin {
    fn vouch<'a>(&'a self, head: &'a mut Parts, decision: Uuid) -> Vouched<'a> {
        Box::pin(async move {
            let holder = self.sessions.holder(read::bearer(&head.headers)?, decision).await?;
            self.versions.may_write(&holder, decision).await
        })
    }
}

/// Checks a whole policy set and puts it in place on every replica, unless it has to wait for a second operator. A set that is not
/// sound changes nothing; the hints name every problem with its file and line. With `shadow` it looks on and decides nothing. Needs the
/// right `policy.write`.
#[utoipa::path(
    post,
    path = "/api/v1/policies",
    tag = "operator",
    request_body = PolicyPush,
    security(("session" = [])),
    responses(
        (status = 200, description = "What became of it", body = PolicyPushed),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another set is active, the sets come from a folder, or the caller would lose the right", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn apply(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let push: PolicyPush = read::json_within(&headers, body, BODY_LIMIT).await?;
        let PolicyPush { files, terms, shadow } = push;
        let pushed = if shadow {
            admin.versions.shadow(&holder, files, &terms, context.id).await?
        } else {
            admin.versions.apply(&holder, files, &terms, context.id).await?
        };
        Ok(told(pushed))
    };
    answer(&context, done.await)
}

/// The active set, the ones that were, and those that wait for a second operator. Needs the right `policy.read`.
#[utoipa::path(
    get,
    path = "/api/v1/policies",
    tag = "operator",
    security(("session" = [])),
    responses(
        (status = 200, description = "The latest activations, newest first", body = PolicyList),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let list: PolicyList = admin.versions.list(&holder, context.id).await?;
        Ok(list)
    };
    answer(&context, done.await)
}

/// A stored set with its files. Needs the right `policy.read`.
#[utoipa::path(
    get,
    path = "/api/v1/policies/{hash}",
    tag = "operator",
    security(("session" = [])),
    params(("hash" = String, Path, description = "A set's hash, or 8 or more digits that it begins with")),
    responses(
        (status = 200, description = "The set", body = PolicyDetail),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such set is stored", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let set: PolicyDetail = admin.versions.show(&holder, &hash, context.id).await?;
        Ok(set)
    };
    answer(&context, done.await)
}

/// Makes a stored set the active one again, under the same rules as a new one. Needs the right `policy.write`.
#[utoipa::path(
    post,
    path = "/api/v1/policies/{hash}/activate",
    tag = "operator",
    request_body = PolicyTerms,
    security(("session" = [])),
    params(("hash" = String, Path, description = "A set's hash, or 8 or more digits that it begins with")),
    responses(
        (status = 200, description = "What became of it", body = PolicyPushed),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such set is stored", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another set is active, the sets come from a folder, or the caller would lose the right", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn activate(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let terms: PolicyTerms = read::json(&headers, body).await?;
        Ok(told(admin.versions.roll_back(&holder, &hash, &terms, context.id).await?))
    };
    answer(&context, done.await)
}

/// Makes a set that waits the active one. Needs the right `policy.approve`, and another person than its author.
#[utoipa::path(
    post,
    path = "/api/v1/policies/{hash}/approve",
    tag = "operator",
    security(("session" = [])),
    params(("hash" = String, Path, description = "The set's whole hash")),
    responses(
        (status = 200, description = "It is active", body = PolicyPushed),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such set waits", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another set has become active since it was proposed, or sets come from a folder", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn approve(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        Ok(told(admin.versions.approve(&holder, &hash, context.id).await?))
    };
    answer(&context, done.await)
}

/// Takes a set back that waits for a second operator. Needs to be its author, or the right `policy.write` or `policy.approve`.
#[utoipa::path(
    post,
    path = "/api/v1/policies/{hash}/withdraw",
    tag = "operator",
    security(("session" = [])),
    params(("hash" = String, Path, description = "A set's hash, or 8 or more digits that it begins with")),
    responses(
        (status = 200, description = "It waits no more", body = PolicyWithdrawal),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such set waits", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was withdrawn before", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn withdraw(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let withdrawn: PolicyWithdrawal = admin.versions.withdraw(&holder, &hash, context.id).await?;
        Ok(withdrawn)
    };
    answer(&context, done.await)
}

/// Has no set look on any more. Needs the right `policy.write`.
#[utoipa::path(
    delete,
    path = "/api/v1/policies/shadow",
    tag = "operator",
    security(("session" = [])),
    responses(
        (status = 200, description = "None looks on", body = PolicyShadow),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn clear_shadow(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.versions.clear_shadow(&holder, context.id).await?;
        Ok(PolicyShadow { shadow: None })
    };
    answer(&context, done.await)
}

fn told(pushed: Pushed) -> PolicyPushed {
    let Pushed { hash, outcome, was, adds, needs_approval } = pushed;
    PolicyPushed { hash: hex(&hash), outcome, was: hex(&was), adds, needs_approval }
}

fn answer(context: &Context, done: Result<impl Serialize, Error>) -> Response {
    match done {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => context.problem(&error),
    }
}

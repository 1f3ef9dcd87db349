//! `/api/v1/operator/switches`: issuers and roles that are switched off by name.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::wire::{Problem, SwitchList, SwitchRequest};

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;

/// Every issuer and role of the active policy set, with what is switched off. Needs the right `policy.read`.
#[utoipa::path(
    get,
    path = "/api/v1/operator/switches",
    tag = "operator",
    security(("session" = [])),
    responses(
        (status = 200, description = "Issuers and roles", body = SwitchList),
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
        admin.switches.list(&holder, context.id).await
    };
    answer(&context, done.await)
}

/// Switches an issuer or a role off, or on again, at every replica within five seconds. What is out stays out until its end. Needs the right
/// `exchanges.stop`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/switches",
    tag = "operator",
    request_body = SwitchRequest,
    security(("session" = [])),
    responses(
        (status = 200, description = "Issuers and roles as they are now", body = SwitchList),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The active set has no such issuer or role", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The caller came in by what it would switch off", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn set(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let request: SwitchRequest = read::json(&headers, body).await?;
        admin.switches.set(&holder, &request, context.id).await
    };
    answer(&context, done.await)
}

fn answer(context: &Context, done: Result<SwitchList, Error>) -> Response {
    match done {
        Ok(switches) => Json(switches).into_response(),
        Err(error) => context.problem(&error),
    }
}

//! `POST /api/v1/reconcile` and `POST /api/v1/resume`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::wire::{Problem, ReconcileAnswer, ReconcileRequest, ResumeAnswer};

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;

/// Compares the leases with what the targets really have, and sets right what differs unless it is told not to. Needs the right
/// `leases.reconcile`.
#[utoipa::path(
    post,
    path = "/api/v1/reconcile",
    tag = "operator",
    security(("session" = [])),
    request_body = ReconcileRequest,
    responses(
        (status = 200, description = "What each target has, and what was done", body = ReconcileAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such connection", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn reconcile(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let compared = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let ask: ReconcileRequest = read::json(&headers, body).await?;
        admin.reconcile.now(&holder, ask, context.id).await
    };
    let answer = |answer: ReconcileAnswer| Json(answer).into_response();
    compared.await.map_or_else(|error: Error| context.problem(&error), answer)
}

/// Lets taking back go on after a hold. Needs the right `leases.reconcile`.
#[utoipa::path(
    post,
    path = "/api/v1/resume",
    tag = "operator",
    security(("session" = [])),
    responses(
        (status = 200, description = "The hold that was ended, if there was one", body = ResumeAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resume(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let resumed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.reconcile.resume(&holder, context.id).await
    };
    let answer = |answer: ResumeAnswer| Json(answer).into_response();
    resumed.await.map_or_else(|error: Error| context.problem(&error), answer)
}

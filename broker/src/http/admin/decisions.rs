//! `GET /api/v1/decisions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, Refusal};
use domain::wire::{DecisionPage, DecisionQuery, Problem};

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;

/// What was decided in the last days, newest first, page by page, with all that deciding it once more takes. Needs the right
/// `policy.read`; claims that name a person come along only with `audit.read`.
#[utoipa::path(
    get,
    path = "/api/v1/decisions",
    tag = "operator",
    security(("session" = [])),
    params(DecisionQuery),
    responses(
        (status = 200, description = "The decisions", body = DecisionPage),
        (status = 400, description = "The query cannot be read", body = Problem, content_type = "application/problem+json"),
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
    query: Result<Query<DecisionQuery>, QueryRejection>,
) -> Response {
    let listed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let Query(query) = query.map_err(|rejection| Refusal::new(Code::RequestMalformed).hint(rejection.body_text()))?;
        admin.decisions.list(&holder, &query, context.id).await
    };
    match listed.await {
        Ok(page) => Json(page).into_response(),
        Err(error) => context.problem(&error),
    }
}

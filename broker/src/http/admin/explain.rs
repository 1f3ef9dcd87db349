//! `GET /api/v1/explain/{decision}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::refusal::Code;
use domain::wire::Problem;
use uuid::Uuid;

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;

/// Why a recorded decision came out as it did: what was recorded, and every row and condition under the policy set that
/// decided it. Needs the right `policy.explain`.
#[utoipa::path(
    get,
    path = "/api/v1/explain/{decision}",
    tag = "operator",
    security(("session" = [])),
    params(("decision" = String, Path, description = "A decision id")),
    responses(
        (status = 200, description = "The explanation", body = Object),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such decision", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn explain(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(decision): Path<String>,
    headers: HeaderMap,
) -> Response {
    let explained = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let decision: Uuid = decision.parse().map_err(|_| Error::from(Code::NotFound))?;
        admin.explain.decision(&holder, decision, context.id).await
    };
    match explained.await {
        Ok(explanation) => Json(explanation).into_response(),
        Err(error) => context.problem(&error),
    }
}

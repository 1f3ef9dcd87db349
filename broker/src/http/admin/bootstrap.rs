//! `POST /api/v1/bootstrap`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::secret::Secret;
use domain::wire::{BootstrapRequest, ExchangeAnswer, Problem};

use super::Admin;
use crate::http::native::answer;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;

/// Spends the single-use token of `daypass-broker operator bootstrap`: a session of ten minutes for the first operator.
#[utoipa::path(
    post,
    path = "/api/v1/bootstrap",
    tag = "operator",
    request_body = BootstrapRequest,
    responses(
        (status = 200, description = "A session, without credentials", body = ExchangeAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is no operator's any more", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn bootstrap(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let opened = async {
        let request: BootstrapRequest = read::json(&headers, body).await?;
        let token = Secret::from(read::trim_token(request.token.expose()));
        admin.operators.bootstrap(&token, context.id).await
    };
    opened.await.map_or_else(|error: Error| context.problem(&error), answer)
}

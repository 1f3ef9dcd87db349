//! `/api/v1/operator/stops` and `/api/v1/operator/given`: the kill switch.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::wire::{GivenPage, GivenSearch, KillAnswer, KillRequest, Problem, StopAnswer, StopList};

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::inventory::Stop;
use crate::service::stops;

/// Stops exchanges that meet a filter, ends the sessions that came of earlier ones and has everything taken back that is out.
/// Needs the right `exchanges.stop`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/stops",
    tag = "operator",
    request_body = KillRequest,
    security(("session" = [])),
    responses(
        (status = 200, description = "Stopped; what is out is being taken back", body = KillAnswer),
        (status = 400, description = "The request cannot be read, or its filter is empty", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn kill(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let killed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let request: KillRequest = read::json(&headers, body).await?;
        admin.inventory.kill(&holder, &request, context.id).await
    };
    match killed.await {
        Ok(killed) => Json(KillAnswer { stop: told(&killed.stop), sessions_ended: killed.sessions, leases_asked: killed.leases })
            .into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Every stop that holds. Needs the right `exchanges.stop`.
#[utoipa::path(
    get,
    path = "/api/v1/operator/stops",
    tag = "operator",
    security(("session" = [])),
    responses(
        (status = 200, description = "The stops, newest first", body = StopList),
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
    let listed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.inventory.stops(&holder, context.id).await
    };
    match listed.await {
        Ok(stops) => Json(StopList { stops: stops.iter().map(told).collect() }).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Lets exchanges through again. Needs the right `exchanges.stop`.
#[utoipa::path(
    delete,
    path = "/api/v1/operator/stops/{id}",
    tag = "operator",
    security(("session" = [])),
    params(("id" = String, Path, description = "The stop's id")),
    responses(
        (status = 200, description = "Lifted; the stops that are left", body = StopList),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such stop", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn lift(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let lifted = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.inventory.lift(&holder, &id, context.id).await
    };
    match lifted.await {
        Ok(stops) => Json(StopList { stops: stops.iter().map(told).collect() }).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// What was handed out to whom a filter describes: every credential and every stored secret, from the audit trail. Needs the right
/// `exchanges.stop`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/given",
    tag = "operator",
    request_body = GivenSearch,
    security(("session" = [])),
    responses(
        (status = 200, description = "What was given, newest first", body = GivenPage),
        (status = 400, description = "The request cannot be read, or its filter is empty", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn given(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let given = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let search: GivenSearch = read::json(&headers, body).await?;
        admin.inventory.given(&holder, &search, context.id).await
    };
    match given.await {
        Ok(given) => Json(GivenPage { given: given.entries, next: given.next.map(|id| id.to_string()) }).into_response(),
        Err(error) => context.problem(&error),
    }
}

fn told(stop: &Stop) -> StopAnswer {
    StopAnswer { id: stop.id.to_string(), filter: stops::filter(stop), reason: stop.reason.clone(), created_at: stop.created_at }
}

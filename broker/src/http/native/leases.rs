//! `GET /api/v1/leases`, `DELETE /api/v1/leases/{id}` and `POST /api/v1/leases/{id}/renew`: the session's own.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::refusal::Code;
use domain::wire::{LeaseAnswer, LeaseList, Problem, ReleaseAnswer, RenewAnswer, RenewRequest};
use uuid::Uuid;

use super::exchange::Native;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;
use crate::service::leases::Lease;

/// The session's leases, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/leases",
    tag = "native",
    security(("session" = [])),
    responses(
        (status = 200, description = "The leases", body = LeaseList),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let listed = async {
        let session = native.sessions.authenticate(read::bearer(&headers)?).await?;
        native.leases.of_session(session.id).await
    };
    match listed.await {
        Ok(leases) => Json(LeaseList { leases: leases.iter().map(entry).collect() }).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Takes one of the session's leases back before its end. One that has ended already is answered as it is.
#[utoipa::path(
    delete,
    path = "/api/v1/leases/{id}",
    tag = "native",
    security(("session" = [])),
    params(("id" = String, Path, description = "The lease's id")),
    responses(
        (status = 200, description = "The lease as it is now", body = ReleaseAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such lease of this session", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn release(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let released = async {
        let session = native.sessions.authenticate(read::bearer(&headers)?).await?;
        let id: Uuid = id.parse().map_err(|_| Error::from(Code::LeaseUnknown))?;
        let mine = native.leases.of_session(session.id).await?;
        if !mine.iter().any(|lease| lease.id == id) {
            return Err(Code::LeaseUnknown.into());
        }
        native.leases.release(session.id, &[id]).await
    };
    match released.await {
        Ok(leases) => Json(ReleaseAnswer { leases: leases.iter().map(entry).collect() }).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Lets one of the session's leases last longer, as far as the policy of now gives it, and no longer than the session.
#[utoipa::path(
    post,
    path = "/api/v1/leases/{id}/renew",
    tag = "native",
    request_body = RenewRequest,
    security(("session" = [])),
    params(("id" = String, Path, description = "The lease's id")),
    responses(
        (status = 200, description = "The lease with its end", body = RenewAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The policy says no", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such lease of this session", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease cannot be renewed", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The project is asking too often", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn renew(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let renewed = async {
        let session = native.sessions.authenticate(read::bearer(&headers)?).await?;
        let request: RenewRequest = read::json(&headers, body).await?;
        let id: Uuid = id.parse().map_err(|_| Error::from(Code::LeaseUnknown))?;
        native.inventory.renew_own(&session, id, read::ttl(request.ttl.as_deref())?, context.id).await
    };
    match renewed.await {
        Ok(renewed) => {
            Json(RenewAnswer { lease: entry(&renewed.lease), limited_by: renewed.limited_by.to_owned() }).into_response()
        }
        Err(error) => context.problem(&error),
    }
}

pub(in crate::http) fn entry(lease: &Lease) -> LeaseAnswer {
    LeaseAnswer {
        id: lease.id.to_string(),
        session_id: lease.session_id.to_string(),
        role: lease.role.clone(),
        credential: lease.credential.clone(),
        engine: lease.engine.clone(),
        connection: lease.connection.clone(),
        state: lease.state,
        revocable: lease.revocable,
        issued_at: lease.issued_at,
        expires_at: lease.expires_at,
        ended_at: lease.ended_at,
        reason: lease.reason.clone(),
    }
}

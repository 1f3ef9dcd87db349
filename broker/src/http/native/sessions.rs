//! `POST /api/v1/session/credentials`, `DELETE /api/v1/session` and `GET /api/v1/whoami`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::wire::{ExchangeAnswer, Problem, ReleaseAnswer, SessionAsk, WhoAmI};

use super::exchange::{Native, answer, to_the_end};
use super::leases::entry;
use crate::http::layers::Seat;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;
use crate::service::exchange::{Further, Granted};

/// More credentials of the session's role, decided again under the policy set of now.
#[utoipa::path(
    post,
    path = "/api/v1/session/credentials",
    tag = "native",
    request_body = SessionAsk,
    security(("session" = [])),
    responses(
        (status = 200, description = "Granted", body = ExchangeAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The policy says no", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "A stored secret does not exist", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many asks or leases", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later; nothing was handed out", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn credentials(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    Extension(seat): Extension<Seat>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match further(&native, context, seat, &headers, body).await {
        Ok(granted) => answer(granted),
        Err(error) => context.problem(&error),
    }
}

async fn further(native: &Native, context: Context, seat: Seat, headers: &HeaderMap, body: Body) -> Result<Granted, Error> {
    let session = native.sessions.authenticate(read::bearer(headers)?).await?;
    let request: SessionAsk = read::json(headers, body).await?;
    let ask = Further {
        decision: context.id,
        credentials: request.credentials,
        ttl: read::ttl(request.ttl.as_deref())?,
        inputs: request.input,
    };
    let exchange = native.exchange.clone();
    to_the_end(native, seat, async move { exchange.further(&session, ask).await }).await
}

/// Ends the session and takes its leases back.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "native",
    security(("session" = [])),
    responses(
        (status = 200, description = "Ended; the leases as they are now", body = ReleaseAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn end(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let ended = async {
        let session = native.sessions.authenticate(read::bearer(&headers)?).await?;
        native.sessions.end(&session, context.id).await
    };
    match ended.await {
        Ok(leases) => Json(ReleaseAnswer { leases: leases.iter().map(entry).collect() }).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Who the session is.
#[utoipa::path(
    get,
    path = "/api/v1/whoami",
    tag = "native",
    security(("session" = [])),
    responses(
        (status = 200, description = "The session", body = WhoAmI),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The policy has taken the role away", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn whoami(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response {
    let held = async { native.sessions.holder(read::bearer(&headers)?, context.id).await };
    match held.await {
        Ok(holder) => Json(WhoAmI {
            session_id: holder.session.id.to_string(),
            issuer: holder.session.issuer.clone(),
            role: holder.session.role.clone(),
            project: holder.session.project_name.clone().or_else(|| holder.session.project.clone()),
            run: holder.session.run.clone(),
            opened_at: holder.session.opened_at,
            ends_at: holder.session.ends_at,
            claims: holder.public_claims(),
            rights: holder.rights,
        })
        .into_response(),
        Err(error) => context.problem(&error),
    }
}

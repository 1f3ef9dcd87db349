//! `POST /api/v1/exchange`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use domain::wire::{CredentialAnswer, ExchangeAnswer, ExchangeRequest, Problem, SessionAnswer};

use crate::http::layers::Seat;
use crate::http::problem::Context;
use crate::http::read;
use crate::panics;
use crate::service::error::{Error, Fault};
use crate::service::exchange::{Ask, Exchange, Granted};
use crate::service::inventory::Inventory;
use crate::service::leases::Leases;
use crate::service::sessions::Sessions;

/// The services behind the native door.
#[derive(Clone, Debug)]
pub struct Native {
    pub exchange: Exchange,
    pub sessions: Sessions,
    pub leases: Leases,
    pub inventory: Inventory,
}

/// Exchanges a CI token for credentials.
///
/// All credentials that are asked for, or none. A token can be used once unless its role says otherwise; a repeat with the
/// same `Idempotency-Key` first has the first attempt's leases taken back.
#[utoipa::path(
    post,
    path = "/api/v1/exchange",
    tag = "native",
    request_body = ExchangeRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable characters; makes a repeat safe")),
    responses(
        (status = 200, description = "Granted", body = ExchangeAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The policy says no", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "A stored secret does not exist", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The same request is being carried out", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many asks or leases", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later; nothing was handed out", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn exchange(
    State(native): State<Arc<Native>>,
    Extension(context): Extension<Context>,
    Extension(seat): Extension<Seat>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match carry_out(&native, context, seat, &headers, body).await {
        Ok(granted) => answer(granted),
        Err(error) => context.problem(&error),
    }
}

async fn carry_out(native: &Native, context: Context, seat: Seat, headers: &HeaderMap, body: Body) -> Result<Granted, Error> {
    let idempotency = read::idempotency(headers)?;
    let request: ExchangeRequest = read::json(headers, body).await?;
    if request.session_only && !request.credentials.is_empty() {
        return Err(Refusal::new(Code::RequestMalformed).hint("session_only: it goes with no credentials").into());
    }
    let ask = Ask {
        decision: context.id,
        token: Secret::from(read::trim_token(request.token.expose())),
        role: request.role,
        credentials: request.credentials,
        ttl: read::ttl(request.ttl.as_deref())?,
        idempotency,
        session_only: request.session_only,
    };
    let exchange = native.exchange.clone();
    to_the_end(native, seat, async move { exchange.exchange(ask).await }).await
}

/// Carries an ask out in a task of its own, so that a client that goes away does not leave it half done. What nobody is
/// left to receive is taken back at once. Until then the ask keeps its place among the requests in flight.
pub(super) async fn to_the_end<F>(native: &Native, seat: Seat, ask: F) -> Result<Granted, Error>
where
    F: Future<Output = Result<Granted, Error>> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (leases, exchange) = (native.leases.clone(), native.exchange.clone());
    tokio::spawn(async move {
        let _seat = seat;
        let ended = panics::caught(ask).await.unwrap_or_else(|panic| Err(exchange.panicked(panic)));
        if let Err(Ok(granted)) = sender.send(ended) {
            let ids: Vec<_> = granted.credentials.iter().filter_map(|given| given.lease).collect();
            tracing::info!(decision_id = %granted.decision, leases = ids.len(), "the client left before the answer; taking back");
            if let Err(error) = leases.release(granted.session, &ids).await {
                tracing::warn!(decision_id = %granted.decision, ?error, "could not take back what was not received; it ends by itself");
            }
        }
    });
    receiver.await.map_err(|gone| Error::Fault(Fault::new(gone)))?
}

/// The one place where secrets become an answer.
pub(in crate::http) fn answer(granted: Granted) -> Response {
    let credentials = granted.credentials.into_iter().map(|given| {
        let values: BTreeMap<String, String> =
            given.values.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect();
        let answer = CredentialAnswer {
            engine: given.engine.to_owned(),
            lease_id: given.lease.map(|lease| lease.to_string()),
            values,
            expires_at: given.expires_at,
            ttl: given.ttl.map(|ttl| ttl.as_secs()),
            ttl_limited_by: given.ttl_limited_by.map(str::to_owned),
            revocable: given.revocable,
        };
        (given.name, answer)
    });
    Json(ExchangeAnswer {
        decision_id: granted.decision.to_string(),
        role: granted.role,
        session: SessionAnswer {
            id: granted.session.to_string(),
            token: granted.session_token.map(|token| token.expose().clone()),
            ends_at: granted.session_ends,
        },
        credentials: credentials.collect(),
    })
    .into_response()
}

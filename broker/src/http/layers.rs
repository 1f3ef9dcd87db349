//! What every request passes: an id, a place among those in flight, a deadline, a span, a count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use domain::refusal::{Code, Refusal};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::edge::Peer;
use super::large::{Large, Room};
use super::problem::{Context, Told, bare};
use super::read;
use crate::panics;
use crate::system::System;
use crate::telemetry::Metrics;

/// The most that a request body may hold; a token of 16 KiB fits twice.
pub const BODY_LIMIT: usize = 32 * 1024;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What watches one listener's door.
#[derive(Debug)]
pub struct Door {
    pub system: System,
    pub metrics: Metrics,
    pub in_flight: Arc<Semaphore>,
    pub deadline: Duration,
    /// Where bodies may be larger than [`BODY_LIMIT`].
    pub large: Option<Large>,
}

/// A place among the requests in flight. Work that outlives its request keeps a copy, so that it goes on being counted.
#[derive(Clone, Debug)]
pub struct Seat {
    _held: Arc<OwnedSemaphorePermit>,
}

/// Puts the door in front of every route of `router` and of all that has none.
pub fn guarded(router: Router, door: Arc<Door>) -> Router {
    // A fallback of its own, because the one that axum brings is lost where routers are merged, and its layers with it.
    watched(router.fallback(|| async { axum::http::StatusCode::NOT_FOUND }), door)
}

/// Puts the door in front of the routes of `router`, which is to be merged into a guarded one.
pub fn watched(router: Router, door: Arc<Door>) -> Router {
    let metrics = door.metrics.clone();
    router
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
            tracing::error!(panic = panics::words(panic.as_ref()), "a handler panicked; this is a defect");
            metrics.alarm("request_panicked");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        }))
        .layer(from_fn_with_state(door, keep))
}

async fn keep(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let deadline = tokio::time::Instant::now() + door.deadline;
    let now = door.system.now();
    let Ok(id) = door.system.row_id() else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    let context = Context { id, now };
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(context);

    let span = tracing::info_span!("request", request_id = %id, %method, route);
    // A link, not a parent: strangers neither write into traces of ours nor decide which are kept.
    let theirs = opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    let theirs = theirs.span().span_context().clone();
    if theirs.is_valid() {
        span.add_link(theirs);
    }

    let answered = async {
        // The whole body first: a client that sends it slowly takes nobody's place.
        let (mut parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let upper = HttpBody::size_hint(&body).upper();
        let room = match &door.large {
            Some(large) => timeout_at(deadline, large.room(&mut parts, peer, upper, id)).await,
            None => Ok(Ok(Room::usual())),
        };
        let room = match room.unwrap_or_else(|_| Err(Refusal::new(Code::Unavailable).retry_after(2))) {
            Ok(room) => room,
            Err(refusal) => {
                door.metrics.shed("body");
                return context.refusal(&refusal);
            }
        };
        let until = room.patience.map_or(deadline, |patience| deadline.min(tokio::time::Instant::now() + patience));
        let body = match timeout_at(until, read::all(body, room.most)).await {
            Ok(Ok(body)) => body,
            Ok(Err(refusal)) => {
                return match room.instead.filter(|_| refusal.code == Code::RequestTooLarge) {
                    Some(error) => context.problem(&error),
                    None => context.refusal(&refusal),
                };
            }
            Err(_) => {
                door.metrics.shed("body");
                return context.refusal(&Refusal::new(Code::RequestMalformed).hint("the body did not arrive in time"));
            }
        };
        let mut request = Request::from_parts(parts, Body::from(body));
        let Ok(seat) = Arc::clone(&door.in_flight).try_acquire_owned() else {
            door.metrics.shed("in_flight");
            return context.refusal(&Refusal::new(Code::Overloaded).retry_after(1));
        };
        // A handler may keep a copy for longer; this one lasts until the answer is there.
        let seat = Seat { _held: Arc::new(seat) };
        request.extensions_mut().insert(seat.clone());
        let answered = timeout_at(deadline, next.run(request)).await;
        drop(seat);
        answered.unwrap_or_else(|_| {
            door.metrics.shed("deadline");
            context
                .refusal(&Refusal::new(Code::Unavailable).retry_after(2).hint("the request was not finished within its deadline"))
        })
    };
    let mut response = answered.instrument(span.clone()).await;

    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && response.extensions().get::<Told>().is_none() {
        let allow = response.headers_mut().remove(ALLOW);
        response = context.refusal(&bare(status, &method));
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let code = response.extensions().get::<Told>().map_or("ok", |told| told.0.as_str());
    let (status, took) = (response.status().as_u16(), started.elapsed());
    door.metrics.request(&route, status, took);
    let millis = took.as_secs_f64() * 1000.0;
    // What was granted stands in the audit trail; the log tells at its usual level of what was not.
    span.in_scope(|| match code {
        "ok" => tracing::debug!(status, millis, "answered"),
        code => tracing::info!(status, code, millis, "answered"),
    });
    response
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

//! `/api/v1/operator/leases` and `/api/v1/operator/revocations/{id}`: every lease, for operators.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::lease;
use domain::wire::{
    Failing, FindAnswer, FindRequest, FoundOwner, LeaseDetail, LeasePage, LeaseSearch, Problem, RenewAnswer, RenewRequest,
    RevocationProgress, RevokeAnswer, RevokeRequest, SessionView,
};

use super::Admin;
use crate::http::native::lease_entry;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;
use crate::service::inventory::{Found, Share, Whose};

/// Leases that meet a filter, newest first, page by page. Needs the right `leases.read`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/leases/search",
    tag = "operator",
    request_body = LeaseSearch,
    security(("session" = [])),
    responses(
        (status = 200, description = "The leases", body = LeasePage),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn search(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let listed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let search: LeaseSearch = read::json(&headers, body).await?;
        admin.inventory.list(&holder, &search, context.id).await
    };
    match listed.await {
        Ok(page) => {
            let leases = page.leases.iter().map(detail).collect();
            Json(LeasePage { leases, next: page.next.map(|id| id.to_string()) }).into_response()
        }
        Err(error) => context.problem(&error),
    }
}

/// One lease. Needs the right `leases.read`.
#[utoipa::path(
    get,
    path = "/api/v1/operator/leases/{id}",
    tag = "operator",
    security(("session" = [])),
    params(("id" = String, Path, description = "The lease's id")),
    responses(
        (status = 200, description = "The lease", body = LeaseDetail),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such lease", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.inventory.show(&holder, &id, context.id).await
    };
    shown.await.map_or_else(|error: Error| context.problem(&error), |found| Json(detail(&found)).into_response())
}

/// Has every lease taken back that meets a filter. Needs the right `leases.revoke`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/leases/revoke",
    tag = "operator",
    request_body = RevokeRequest,
    security(("session" = [])),
    responses(
        (status = 200, description = "They are being taken back", body = RevokeAnswer),
        (status = 400, description = "The request cannot be read, or its filter is empty", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revoke(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let asked = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let request: RevokeRequest = read::json(&headers, body).await?;
        admin.inventory.revoke(&holder, &request, context.id).await
    };
    match asked.await {
        Ok(asked) => Json(RevokeAnswer {
            revocation: asked.revocation.to_string(),
            asked: asked.leases,
            already_gone: asked.already_gone,
            after: asked.after.map(|id| id.to_string()),
        })
        .into_response(),
        Err(error) => context.problem(&error),
    }
}

/// How far a revocation is, or what a stop had taken back. Needs the right `leases.revoke` or `exchanges.stop`.
#[utoipa::path(
    get,
    path = "/api/v1/operator/revocations/{id}",
    tag = "operator",
    security(("session" = [])),
    params(("id" = String, Path, description = "The id of the revocation or the stop")),
    responses(
        (status = 200, description = "How it stands", body = RevocationProgress),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The id is none", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn revocation(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let told = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.inventory.revocation(&holder, &id, context.id).await
    };
    match told.await {
        Ok((shares, living)) => Json(progress(shares, &living)).into_response(),
        Err(error) => context.problem(&error),
    }
}

/// Lets any lease last longer, as far as the policy gives its session. Needs the right `leases.renew`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/leases/{id}/renew",
    tag = "operator",
    request_body = RenewRequest,
    security(("session" = [])),
    params(("id" = String, Path, description = "The lease's id")),
    responses(
        (status = 200, description = "The lease with its end", body = RenewAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing, or the policy says no", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such lease", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The lease cannot be renewed", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The project is asking too often", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn renew(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let renewed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let request: RenewRequest = read::json(&headers, body).await?;
        admin.inventory.renew_any(&holder, &id, read::ttl(request.ttl.as_deref())?, context.id).await
    };
    match renewed.await {
        Ok(renewed) => {
            Json(RenewAnswer { lease: lease_entry(&renewed.lease), limited_by: renewed.limited_by.to_owned() }).into_response()
        }
        Err(error) => context.problem(&error),
    }
}

/// Whose is this? The string is compared and forgotten. Needs the right `leases.read`.
#[utoipa::path(
    post,
    path = "/api/v1/operator/leases/find",
    tag = "operator",
    request_body = FindRequest,
    security(("session" = [])),
    responses(
        (status = 200, description = "Everyone to whom it was given", body = FindAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn find(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let found = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let request: FindRequest = read::json(&headers, body).await?;
        admin.inventory.find(&holder, &request.text, context.id).await
    };
    match found.await {
        Ok(owners) => {
            let owners = owners.into_iter().map(|owner| FoundOwner {
                what: owner.what.to_owned(),
                session: session(&owner.session),
                lease: owner.lease.as_ref().map(detail),
            });
            Json(FindAnswer { found: owners.collect() }).into_response()
        }
        Err(error) => context.problem(&error),
    }
}

fn detail(found: &Found) -> LeaseDetail {
    let taken_back = matches!(found.lease.state, lease::State::Revoking | lease::State::Fenced);
    LeaseDetail {
        lease: lease_entry(&found.lease),
        upstream: found.lease.upstream.clone(),
        tries: found.lease.attempt.unsigned_abs(),
        next_try: found.lease.due_at.filter(|_| taken_back),
        in_hand: found.claimed,
        wanted_at: found.wanted_at,
        session: session(&found.session),
    }
}

fn session(whose: &Whose) -> SessionView {
    SessionView {
        id: whose.id.to_string(),
        issuer: whose.issuer.clone(),
        role: whose.role.clone(),
        project: whose.project.clone(),
        project_name: whose.project_name.clone(),
        run: whose.run.clone(),
        attempt: whose.attempt.clone(),
        job: whose.job.clone(),
        opened_at: whose.opened_at,
        ends_at: whose.ends_at,
        ended_at: whose.ended_at,
    }
}

fn progress(shares: Vec<Share>, living: &[Found]) -> RevocationProgress {
    let mut told = RevocationProgress { living_on: living.iter().map(detail).collect(), ..RevocationProgress::default() };
    for share in shares {
        told.total += share.leases;
        match (share.state, share.reason) {
            (lease::State::Revoked | lease::State::Expired, _) => told.revoked += share.leases,
            (lease::State::Passive, _) => told.irrevocable += share.leases,
            (_, None) => told.going += share.leases,
            (_, Some(reason)) => {
                told.failing += share.leases;
                told.reasons.push(Failing { reason, leases: share.leases, next_try: share.next_try });
            }
        }
    }
    told
}

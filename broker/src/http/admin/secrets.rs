//! `/api/v1/secrets/{mount}/{path}`: stored secrets. Operators have all of it on their listener; jobs read, list and write on the
//! native one what their role's kv credentials reach with `access`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::refusal::{Code, Refusal};
use domain::wire::{Problem, SecretAnswer, SecretHistory, SecretList, SecretWrite, SecretWritten};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Admin;
use crate::http::problem::Context;
use crate::http::read;
use crate::service::error::Error;
use crate::service::secrets::At;

type Queried<T> = Result<Query<T>, QueryRejection>;

/// What a `GET` wants to know.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadQuery {
    /// A version; the newest unless told.
    version: Option<u32>,
    /// The paths below instead of a secret.
    #[serde(default)]
    list: bool,
    /// The versions instead of a secret.
    #[serde(default)]
    history: bool,
}

/// Which versions a `DELETE` speaks of.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// Versions, with commas; the newest unless told.
    versions: Option<String>,
    /// Destroy for good instead of marking as deleted.
    #[serde(default)]
    destroy: bool,
}

/// Which version a `POST` brings back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RollbackQuery {
    /// The version whose content becomes the newest version.
    rollback: u32,
}

fn query<T>(query: Queried<T>) -> Result<T, Error> {
    let Query(query) = query.map_err(|rejection| Refusal::new(Code::RequestMalformed).hint(rejection.body_text()))?;
    Ok(query)
}

/// Reads a secret, lists paths (`list=true`) or tells the versions (`history=true`). Needs `secrets.read` or `secrets.list`.
#[utoipa::path(
    get,
    path = "/api/v1/secrets/{mount}/{path}",
    tag = "operator",
    security(("session" = [])),
    params(("mount" = String, Path), ("path" = String, Path), ReadQuery),
    responses(
        (status = 200, description = "The secret; a `SecretList` with list, a `SecretHistory` with history", body = SecretAnswer),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such secret or version", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path((mount, path)): Path<(String, String)>,
    headers: HeaderMap,
    asked: Queried<ReadQuery>,
) -> Response {
    let answered = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let asked = query(asked)?;
        if asked.list {
            return Ok(Json(admin.secrets.list(&holder, &At::below(&mount, &path)?, context.id).await?).into_response());
        }
        let at = At::new(&mount, &path)?;
        if asked.history {
            return Ok(Json(admin.secrets.history(&holder, &at, context.id).await?).into_response());
        }
        Ok(Json(admin.secrets.read(&holder, &at, asked.version, context.id).await?).into_response())
    };
    answered.await.unwrap_or_else(|error: Error| context.problem(&error))
}

/// Lists the paths of a mount. Needs `secrets.list`.
#[utoipa::path(
    get,
    path = "/api/v1/secrets/{mount}",
    tag = "operator",
    security(("session" = [])),
    params(("mount" = String, Path)),
    responses(
        (status = 200, description = "The paths", body = SecretList),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_mount(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path(mount): Path<String>,
    headers: HeaderMap,
) -> Response {
    let listed = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        admin.secrets.list(&holder, &At::mount(&mount)?, context.id).await
    };
    listed.await.map_or_else(|error| context.problem(&error), |list: SecretList| Json(list).into_response())
}

/// Writes a new version. Needs `secrets.write`.
#[utoipa::path(
    put,
    path = "/api/v1/secrets/{mount}/{path}",
    tag = "operator",
    security(("session" = [])),
    params(("mount" = String, Path), ("path" = String, Path)),
    request_body = SecretWrite,
    responses(
        (status = 200, description = "Written", body = SecretWritten),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The secret is at another version", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn write(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path((mount, path)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let written = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let at = At::new(&mount, &path)?;
        admin.secrets.may_write(&holder, &at, context.id).await?;
        let wanted: SecretWrite = read::json(&headers, body).await?;
        admin.secrets.write(&holder, &at, wanted, context.id).await
    };
    written.await.map_or_else(|error: Error| context.problem(&error), |version| Json(SecretWritten { version }).into_response())
}

/// Marks versions as deleted, or destroys them for good. Needs `secrets.delete`.
#[utoipa::path(
    delete,
    path = "/api/v1/secrets/{mount}/{path}",
    tag = "operator",
    security(("session" = [])),
    params(("mount" = String, Path), ("path" = String, Path), DeleteQuery),
    responses(
        (status = 200, description = "The versions as they are now", body = SecretHistory),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such secret or version", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path((mount, path)): Path<(String, String)>,
    headers: HeaderMap,
    asked: Queried<DeleteQuery>,
) -> Response {
    let deleted = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let asked = query(asked)?;
        let versions = asked.versions.as_deref().unwrap_or_default();
        let versions: Result<Vec<u32>, _> = versions.split(',').filter(|text| !text.is_empty()).map(str::parse).collect();
        let versions = versions
            .map_err(|_| Refusal::new(Code::RequestMalformed).hint("versions: whole numbers with commas, such as 1,2"))?;
        admin.secrets.delete(&holder, &At::new(&mount, &path)?, &versions, asked.destroy, context.id).await
    };
    deleted.await.map_or_else(|error: Error| context.problem(&error), |history: SecretHistory| Json(history).into_response())
}

/// Makes an older version's content the newest version. Needs `secrets.write`.
#[utoipa::path(
    post,
    path = "/api/v1/secrets/{mount}/{path}",
    tag = "operator",
    security(("session" = [])),
    params(("mount" = String, Path), ("path" = String, Path), RollbackQuery),
    responses(
        (status = 200, description = "Written", body = SecretWritten),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The right is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such secret or version", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again later", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn roll_back(
    State(admin): State<Arc<Admin>>,
    Extension(context): Extension<Context>,
    Path((mount, path)): Path<(String, String)>,
    headers: HeaderMap,
    asked: Queried<RollbackQuery>,
) -> Response {
    let rolled = async {
        let holder = admin.sessions.holder(read::bearer(&headers)?, context.id).await?;
        let asked = query(asked)?;
        admin.secrets.roll_back(&holder, &At::new(&mount, &path)?, asked.rollback, context.id).await
    };
    rolled.await.map_or_else(|error: Error| context.problem(&error), |version| Json(SecretWritten { version }).into_response())
}

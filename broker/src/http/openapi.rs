//! The API description (OpenAPI 3.1), made from the routes themselves.

use axum::Json;
use axum::Router;
use axum::routing::get;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{admin, native};

/// The whole API: the native door and the operators' door.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Daypass",
        description = "A CI/CD OIDC token exchange broker. CI jobs use the native listener, operators the operator listener.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        native::exchange::exchange,
        native::sessions::credentials,
        native::sessions::end,
        native::sessions::whoami,
        native::leases::list,
        native::leases::release,
        admin::bootstrap::bootstrap,
        admin::secrets::read,
        admin::secrets::list_mount,
        admin::secrets::write,
        admin::secrets::delete,
        admin::secrets::roll_back,
        admin::audit::list,
        admin::explain::explain
    ),
    components(schemas(domain::wire::SecretList, domain::wire::SecretHistory)),
    modifiers(&SessionToken)
)]
pub struct Api;

struct SessionToken;

impl Modify for SessionToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("The session token of an exchange")).build();
        openapi.components.get_or_insert_default().add_security_scheme("session", SecurityScheme::Http(scheme));
    }
}

/// `GET /openapi.json`.
pub fn router() -> Router {
    Router::new().route("/openapi.json", get(|| async { Json(Api::openapi()) }))
}

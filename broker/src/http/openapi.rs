//! The API description (OpenAPI 3.1), made from the routes themselves.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{admin, hooks, native};

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
        hooks::receive,
        native::leases::renew,
        admin::bootstrap::bootstrap,
        admin::secrets::read,
        admin::secrets::list_mount,
        admin::secrets::write,
        admin::secrets::delete,
        admin::secrets::roll_back,
        admin::audit::list,
        admin::decisions::list,
        admin::explain::explain,
        admin::leases::search,
        admin::leases::show,
        admin::leases::revoke,
        admin::leases::revocation,
        admin::leases::renew,
        admin::leases::find,
        admin::stops::kill,
        admin::stops::list,
        admin::stops::lift,
        admin::stops::given,
        admin::policies::apply,
        admin::policies::list,
        admin::policies::show,
        admin::policies::activate,
        admin::policies::approve,
        admin::policies::withdraw,
        admin::policies::clear_shadow,
        admin::switches::list,
        admin::switches::set,
        admin::reconcile::reconcile,
        admin::reconcile::resume
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
    // Made once: rendering it takes longer than everything else that a stranger may ask for.
    let text = Bytes::from(serde_json::to_vec(&Api::openapi()).unwrap_or_default());
    let answer = move || std::future::ready(([(CONTENT_TYPE, "application/json")], text.clone()));
    Router::new().route("/openapi.json", get(answer))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// "method path" of every `.route(…)` in the source of a router.
    fn routes(source: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for route in source.split(".route(").skip(1) {
            let (path, rest) = route.split_once('"').unwrap().1.split_once('"').unwrap();
            let handlers = rest.split_once(".with_state").map_or(rest, |(before, _)| before);
            for method in ["get", "post", "put", "delete"] {
                if handlers.contains(&format!("{method}(")) {
                    found.insert(format!("{method} {}", path.replace("{*path}", "{path}")));
                }
            }
        }
        found
    }

    fn described() -> serde_json::Value {
        serde_json::to_value(Api::openapi()).unwrap()
    }

    #[test]
    fn describes_every_route_and_no_other() {
        let mut served = routes(include_str!("native/mod.rs"));
        served.extend(routes(include_str!("admin/mod.rs")));
        served.extend(routes(include_str!("hooks.rs")));
        let described = described();
        let paths = described["paths"].as_object().unwrap();
        let told = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().keys().filter(|key| *key != "parameters").map(move |method| format!("{method} {path}"))
        });
        assert_eq!(served, told.collect());
        assert!(served.len() >= 14, "{served:?}");
    }

    /// What the door itself can answer, and what follows from what a route takes.
    #[test]
    fn describes_every_status_that_a_route_can_have() {
        let described = described();
        for (path, item) in described["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{method} {path}");
                let responses = operation["responses"].as_object().unwrap();
                let has = |status: &str| responses.contains_key(status);
                assert!((has("200") || has("202")) && has("503"), "{place}");
                // Every route takes a token or a session; every body can be malformed or too large, even where none is read.
                assert!(has("401"), "{place}");
                assert!(has("400") && has("413"), "{place}");
                for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
                    assert!(response["content"].get("application/problem+json").is_some(), "{place} {status}");
                }
                let session = operation.get("security").is_some();
                assert_eq!(session, !["/exchange", "/bootstrap", "/{issuer}"].iter().any(|end| path.ends_with(end)), "{place}");
            }
        }
    }
}

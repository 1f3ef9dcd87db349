//! Refusals in the words of HTTP (RFC 9457), and the one place that logs what is answered.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use domain::refusal::{Class, Code, Refusal};
use domain::wire::Problem;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::service::error::Error;

/// What an answer needs to know about its request.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The request's id; a decision made for it has the same.
    pub id: Uuid,
    pub now: OffsetDateTime,
}

/// Marks an answer that already tells its problem.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told(pub Code);

impl Context {
    /// The answer to an error. A fault is logged here, once, with its causes.
    pub fn problem(&self, error: &Error) -> Response {
        if let Error::Fault(fault) = error {
            tracing::error!(decision_id = %self.id, error = fault.chain(), "fault");
        }
        self.refusal(&error.public())
    }

    pub fn refusal(&self, refusal: &Refusal) -> Response {
        let status = status(refusal.code);
        let body = Problem {
            r#type: format!("urn:daypass:refusal:{}", refusal.code),
            title: refusal.code.sentence().to_owned(),
            status: status.as_u16(),
            code: refusal.code.as_str().to_owned(),
            detail: refusal.code.remedy().to_owned(),
            hints: refusal.hints.clone(),
            decision_id: self.id.to_string(),
            server_time: self.now,
        };
        let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = refusal.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"daypass\""));
        }
        response.extensions_mut().insert(Told(refusal.code));
        response
    }
}

/// The status of a code at the native doors. Everything about the token itself is 401.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::TokenAlreadyUsed => StatusCode::UNAUTHORIZED,
        _ => match code.class() {
            Class::Malformed => StatusCode::BAD_REQUEST,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Denied => StatusCode::FORBIDDEN,
            Class::Conflict => StatusCode::CONFLICT,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

/// What a bare status of the framework means in our words.
pub(super) fn bare(status: StatusCode, method: &Method) -> Refusal {
    match status {
        StatusCode::NOT_FOUND => Code::NotFound.into(),
        StatusCode::METHOD_NOT_ALLOWED => Refusal::new(Code::MethodNotAllowed).hint(format!("the method was {method}")),
        StatusCode::PAYLOAD_TOO_LARGE => Code::RequestTooLarge.into(),
        status if status.is_client_error() => Code::RequestMalformed.into(),
        _ => Refusal::new(Code::Unavailable).retry_after(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_that_says_whose_turn_it_is() {
        for code in Code::ALL {
            let status = status(*code);
            assert!(status.is_client_error() || status.is_server_error(), "{code} is {status}");
            assert_eq!(status.is_server_error(), code.class() == Class::Unavailable, "{code} is {status}");
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{code}");
        }
    }

    #[test]
    fn everything_about_the_token_itself_looks_alike_in_the_status() {
        let about_token = Code::ALL.iter().filter(|code| code.as_str().starts_with("token_"));
        for code in about_token {
            assert_eq!(status(*code), StatusCode::UNAUTHORIZED, "{code}");
        }
    }

    #[test]
    fn bare_answers_of_the_framework_blame_the_right_side() {
        for number in 400..600 {
            let Ok(given) = StatusCode::from_u16(number) else { continue };
            let told = status(bare(given, &Method::GET).code);
            assert_eq!(told.is_client_error(), given.is_client_error(), "{given} becomes {told}");
        }
    }

    #[test]
    fn a_fault_tells_nothing_but_its_decision() {
        let context = Context { id: Uuid::from_u128(7), now: OffsetDateTime::UNIX_EPOCH };
        let fault = Error::Fault(crate::service::error::Fault::new("password=hunter2 at db.internal"));
        let response = context.problem(&fault);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(RETRY_AFTER));
        let body = axum::body::to_bytes(response.into_body(), 64 * 1024);
        let body = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(body).unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("db.internal"), "{text}");
        assert!(text.contains(&context.id.to_string()));
    }
}

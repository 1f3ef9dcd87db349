//! Reading requests: bodies, headers, durations, each with the refusal that names the field.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use domain::refusal::{Code, Refusal};
use serde::de::DeserializeOwned;

use super::layers::BODY_LIMIT;

/// The body as JSON of type `T`. An empty body is an empty object.
pub async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    json_within(headers, body, BODY_LIMIT).await
}

/// The same for a body of up to so many bytes.
pub async fn json_within<T: DeserializeOwned>(headers: &HeaderMap, body: Body, most: usize) -> Result<T, Refusal> {
    let kind = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    if !kind.is_none_or(is_json) {
        return Err(Refusal::new(Code::RequestMalformed).hint("send Content-Type: application/json"));
    }
    let bytes = all(body, most).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        // The message can quote a value of the body, which may be a token: only its place is told, and a field's name.
        let message = error.to_string();
        let named = ["unknown field", "missing field", "duplicate field"].iter().any(|start| message.starts_with(start));
        let what = if named {
            message.split(" at line").next().unwrap_or_default().to_owned()
        } else {
            "not the JSON expected here".to_owned()
        };
        Refusal::new(Code::RequestMalformed).hint(format!("line {}, column {}: {what}", error.line(), error.column()))
    })
}

/// Whether a `Content-Type` is that of JSON.
pub fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The whole body, up to so many bytes. One that says it is too large is not read at all.
pub async fn all(body: Body, most: usize) -> Result<Bytes, Refusal> {
    if HttpBody::size_hint(&body).lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(Code::RequestTooLarge.into());
    }
    axum::body::to_bytes(body, most).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        let full = cause.and_then(|cause| cause.downcast_ref::<http_body_util::LengthLimitError>()).is_some();
        if full { Refusal::new(Code::RequestTooLarge) } else { Refusal::new(Code::RequestMalformed).hint("the body ended early") }
    })
}

/// The session token of `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Code::SessionMissing.into()) };
    let text = value.to_str().map_err(|_| Refusal::new(Code::SessionMissing))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Code::SessionMissing.into()),
    }
}

/// The `Idempotency-Key`, where one was sent: 1 to 255 printable ASCII characters.
pub fn idempotency(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if values.next().is_some() || text.is_empty() || text.len() > 255 {
        return Err(Refusal::new(Code::RequestMalformed).hint("Idempotency-Key: one value of 1 to 255 printable characters"));
    }
    Ok(Some(text.to_owned()))
}

/// A wanted time to live such as `"15m"`; none at all is no wish.
pub fn ttl(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let malformed = |reason: &str| Refusal::new(Code::RequestMalformed).hint(format!("ttl: {reason}"));
    let Some(text) = text else { return Ok(None) };
    let text: String = text.chars().take(32).collect();
    let ttl = domain::policy::duration::parse(&text).map_err(|reason| malformed(&reason))?;
    if ttl.is_zero() { Err(malformed("nothing lives for no time at all")) } else { Ok(Some(ttl)) }
}

/// The token as the client sent it, less one line break at its end.
pub fn trim_token(token: &str) -> &str {
    let token = token.strip_suffix('\n').unwrap_or(token);
    token.strip_suffix('\r').unwrap_or(token)
}

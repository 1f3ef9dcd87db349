//! Reading requests: bodies, headers, durations, each with the refusal that names the field.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use domain::refusal::{Code, Refusal};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::guests::{Guest, Guests};
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

/// A door whose bodies may be larger than usual, so many at a time.
#[derive(Clone, Debug)]
pub struct Large {
    most: usize,
    places: Arc<Semaphore>,
    of_address: usize,
    guests: Guests,
}

/// A place for a large body.
#[derive(Debug)]
pub struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Guest>,
}

impl Large {
    /// Bodies of up to `most` bytes, so many of them at once, of one address half of them.
    pub fn new(most: usize, places: usize) -> Self {
        Self { most, places: Arc::new(Semaphore::new(places)), of_address: places.div_ceil(2), guests: Guests::default() }
    }

    pub const fn most(&self) -> usize {
        self.most
    }

    /// A place for a body that may be larger than usual; none is needed for one that says that it is not.
    pub fn place(&self, peer: Option<IpAddr>, body: &Body) -> Result<Option<Place>, Refusal> {
        let usual = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
        if HttpBody::size_hint(body).upper().is_some_and(|upper| upper <= usual) {
            return Ok(None);
        }
        let full = || Refusal::new(Code::Overloaded).retry_after(1);
        let of_address = peer.map(|peer| self.guests.admit(peer, self.of_address).ok_or_else(full)).transpose()?;
        let of_all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        Ok(Some(Place { _of_all: of_all, _of_address: of_address }))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_may_be_large_take_places_and_others_none() {
        let large = Large::new(4 * BODY_LIMIT, 1);
        let sized = |size: usize| Body::from(vec![0; size]);
        let held = large.place(None, &sized(BODY_LIMIT + 1)).unwrap();
        assert!(held.is_some());
        let unknown = Body::from_stream(sized(1).into_data_stream());
        for waits in [sized(BODY_LIMIT + 1), unknown] {
            assert_eq!(large.place(None, &waits).unwrap_err().code, Code::Overloaded);
        }
        assert!(large.place(None, &sized(BODY_LIMIT)).unwrap().is_none(), "a usual one goes on");
        drop(held);
        assert!(large.place(None, &sized(BODY_LIMIT + 1)).unwrap().is_some());
    }

    #[test]
    fn one_address_has_no_more_than_half_of_the_places() {
        let sized = |size: usize| Body::from(vec![0; size]);
        let (large, here) = (Large::new(4 * BODY_LIMIT, 8), Some("10.0.0.1".parse().unwrap()));
        let held: Vec<_> = (0..4).map(|_| large.place(here, &sized(BODY_LIMIT + 1)).unwrap()).collect();
        assert_eq!(large.place(here, &sized(BODY_LIMIT + 1)).unwrap_err().code, Code::Overloaded);
        assert!(large.place(Some("10.0.0.2".parse().unwrap()), &sized(BODY_LIMIT + 1)).unwrap().is_some());
        drop(held);
        assert!(large.place(here, &sized(BODY_LIMIT + 1)).unwrap().is_some());
    }
}

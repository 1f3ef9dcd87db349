//! What a broker answered, and the ways to ask it.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use domain::wire::{ExchangeAnswer, Problem};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

/// One answer, read whole.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body, or null where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The refusal code; empty where it is none.
    pub fn code(&self) -> String {
        self.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The problem that it tells, with everything that every problem has.
    pub fn problem(&self) -> Result<Problem> {
        let kind = self.header("content-type");
        ensure!(kind == "application/problem+json", "the content type of a refusal is {kind:?}: {self:?}");
        let problem: Problem = serde_json::from_str(&self.body).with_context(|| format!("no problem: {self:?}"))?;
        ensure!(problem.status == self.status, "the status in the body is another: {self:?}");
        ensure!(!problem.decision_id.is_empty() && self.header("x-request-id") == problem.decision_id, "no id: {self:?}");
        ensure!(self.header("cache-control") == "no-store", "may be cached: {self:?}");
        Ok(problem)
    }

    /// The credentials that were granted.
    pub fn granted(&self) -> Result<ExchangeAnswer> {
        ensure!(self.status == 200, "not granted: {self:?}");
        serde_json::from_str(&self.body).with_context(|| format!("no grant: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body)
    }
}

/// A listener of a broker.
#[derive(Clone, Debug)]
pub struct Door {
    pub base: String,
    pub client: Client,
}

impl Door {
    /// Asks, with a session token and a JSON body where they are given.
    pub async fn ask(&self, method: &str, path: &str, session: Option<&str>, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.client.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", self.base));
        if let Some(session) = session {
            request = request.bearer_auth(session);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Self::send(request).await
    }

    pub async fn get(&self, path: &str, session: &str) -> Result<Answer> {
        self.ask("GET", path, Some(session), None).await
    }

    pub async fn delete(&self, path: &str, session: &str) -> Result<Answer> {
        self.ask("DELETE", path, Some(session), None).await
    }

    pub async fn post(&self, path: &str, session: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, Some(session), Some(body)).await
    }

    /// Exchanges a token: `body` is the request without it.
    pub async fn exchange(&self, token: &str, body: Value) -> Result<Answer> {
        self.exchange_with(token, body, None).await
    }

    /// The same with an `Idempotency-Key`.
    pub async fn exchange_with(&self, token: &str, mut body: Value, key: Option<&str>) -> Result<Answer> {
        body.as_object_mut().context("a request is an object")?.insert("token".to_owned(), token.into());
        let mut request = self.client.post(format!("{}/api/v1/exchange", self.base));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Self::send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Sends a request that the caller has put together.
    pub async fn send(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.text().await? })
    }
}

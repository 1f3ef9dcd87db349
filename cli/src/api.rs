//! The broker's native and operator API, as typed calls.

mod operators;
mod policies;

use domain::secret::Secret;
use domain::wire::{
    AuditList, AuditQuery, ExchangeAnswer, LeaseList, ReconcileAnswer, ReconcileRequest, ReleaseAnswer, ResumeAnswer,
    SecretAnswer, SecretHistory, SecretList, SecretWrite, SecretWritten, SessionAsk, WhoAmI,
};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::http::{Answer, Call, DEADLINE, Http, Repeat};

/// One listener of the broker, with the session that speaks to it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Http,
    base: Url,
    session: Option<Secret<String>>,
}

/// `wire::ExchangeRequest` from the sending side: it borrows the token instead of owning a second copy.
#[derive(Serialize)]
pub(crate) struct Exchange<'a> {
    pub(crate) token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'a str>,
    pub(crate) credentials: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<&'a str>,
    /// Only open a session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) session_only: bool,
}

/// `wire::BootstrapRequest` from the sending side.
#[derive(Serialize)]
struct Bootstrap<'a> {
    token: &'a str,
}

/// Where a stored secret lies: a mount and a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretPath {
    pub(crate) mount: String,
    pub(crate) path: String,
}

impl Api {
    pub(crate) const fn new(http: Http, base: Url) -> Self {
        Self { http, base, session: None }
    }

    #[must_use]
    pub(crate) fn with_session(mut self, token: Secret<String>) -> Self {
        self.session = Some(token);
        self
    }

    pub(crate) async fn exchange(&self, ask: &Exchange<'_>, key: &str) -> Result<ExchangeAnswer> {
        let mut call = Call::new(Method::POST, self.url(["exchange"])?, Repeat::Always);
        let key = HeaderValue::from_str(key)
            .map_err(|error| Failure::local("the idempotency key is no header value").because(&error))?;
        call.headers.insert(HeaderName::from_static("idempotency-key"), key);
        self.run(with_body(call, ask)?).await
    }

    /// Spends the first operator's token. It is not repeated: the token is good for once.
    pub(crate) async fn bootstrap(&self, token: &Secret<String>) -> Result<ExchangeAnswer> {
        let call = Call::new(Method::POST, self.url(["bootstrap"])?, Repeat::IfNotBegun);
        self.run(with_body(call, &Bootstrap { token: token.expose() })?).await
    }

    pub(crate) async fn credentials(&self, ask: &SessionAsk) -> Result<ExchangeAnswer> {
        let call = Call::new(Method::POST, self.url(["session", "credentials"])?, Repeat::IfNotBegun);
        self.run(with_body(self.authorised(call)?, ask)?).await
    }

    pub(crate) async fn whoami(&self) -> Result<WhoAmI> {
        self.get(self.url(["whoami"])?).await
    }

    pub(crate) async fn leases(&self) -> Result<LeaseList> {
        self.get(self.url(["leases"])?).await
    }

    pub(crate) async fn release_lease(&self, id: &str, deadline: Duration) -> Result<ReleaseAnswer> {
        self.delete(self.url(["leases", id])?, deadline).await
    }

    /// Releases every lease of the session and ends it.
    pub(crate) async fn end_session(&self, deadline: Duration) -> Result<ReleaseAnswer> {
        self.delete(self.url(["session"])?, deadline).await
    }

    pub(crate) async fn put_secret(&self, at: &SecretPath, write: &SecretWrite) -> Result<SecretWritten> {
        // A repeat of a write that did arrive would be a second version, or with cas a false refusal.
        let call = Call::new(Method::PUT, self.secret_url(at)?, Repeat::IfNotBegun);
        self.run(with_body(self.authorised(call)?, write)?).await
    }

    pub(crate) async fn get_secret(&self, at: &SecretPath, version: Option<u32>) -> Result<SecretAnswer> {
        let mut url = self.secret_url(at)?;
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("version", &version.to_string());
        }
        self.get(url).await
    }

    pub(crate) async fn list_secrets(&self, at: &SecretPath) -> Result<SecretList> {
        self.get(flagged(self.secret_url(at)?, "list", "true")).await
    }

    pub(crate) async fn secret_history(&self, at: &SecretPath) -> Result<SecretHistory> {
        self.get(flagged(self.secret_url(at)?, "history", "true")).await
    }

    pub(crate) async fn roll_back_secret(&self, at: &SecretPath, version: u32) -> Result<SecretWritten> {
        let url = flagged(self.secret_url(at)?, "rollback", &version.to_string());
        self.run(self.authorised(Call::new(Method::POST, url, Repeat::IfNotBegun))?).await
    }

    /// The versions as they are afterwards. None named means the newest.
    pub(crate) async fn delete_secret(&self, at: &SecretPath, versions: &[u32], destroy: bool) -> Result<SecretHistory> {
        let mut url = self.secret_url(at)?;
        if !versions.is_empty() {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            url.query_pairs_mut().append_pair("versions", &versions.join(","));
        }
        if destroy {
            url.query_pairs_mut().append_pair("destroy", "true");
        }
        self.delete(url, DEADLINE).await
    }

    pub(crate) async fn audit(&self, query: &AuditQuery) -> Result<AuditList> {
        self.get(asking(self.url(["audit"])?, query)?).await
    }

    /// Why a recorded decision fell as it did, every condition of it.
    pub(crate) async fn explain(&self, decision: &str) -> Result<serde_json::Value> {
        self.get(self.url(["explain", decision])?).await
    }

    /// The leases beside what the targets have.
    pub(crate) async fn reconcile(&self, ask: &ReconcileRequest) -> Result<ReconcileAnswer> {
        let call = Call::new(Method::POST, self.url(["reconcile"])?, Repeat::Always);
        self.run(with_body(self.authorised(call)?, ask)?).await
    }

    /// Ends a hold.
    pub(crate) async fn resume(&self) -> Result<ResumeAnswer> {
        self.run(self.authorised(Call::new(Method::POST, self.url(["resume"])?, Repeat::IfNotBegun))?).await
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        self.run(self.authorised(Call::new(Method::GET, url, Repeat::Always))?).await
    }

    async fn delete<T: DeserializeOwned>(&self, url: Url, deadline: Duration) -> Result<T> {
        let mut call = self.authorised(Call::new(Method::DELETE, url, Repeat::Always))?;
        call.deadline = deadline;
        call.stoppable = false;
        self.run(call).await
    }

    async fn run<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let answer = self.http.send(&call).await?;
        self.check(&answer)?;
        self.read(&answer)
    }

    fn check(&self, answer: &Answer) -> Result<()> {
        if answer.status.is_success() {
            return Ok(());
        }
        match answer.problem() {
            Some(problem) => Err(Failure::problem(problem)),
            None => Err(Failure::unreachable(format!("{} answered {} without saying why", self.place(), answer.status))
                .fix("this is not how a Daypass broker answers; check the address and what stands before it")),
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        // The reader's own message could quote the answer, which holds secrets; only its place is told.
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::unreachable(format!("{} answered something else than expected", self.place())).fix(format!(
                "check the address and the versions of broker and client (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }

    fn authorised(&self, call: Call) -> Result<Call> {
        let session = self.session.as_ref().ok_or_else(no_session)?;
        call.secret_header(AUTHORIZATION, Zeroizing::new(format!("Bearer {}", session.expose())).as_str())
    }

    fn place(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    fn secret_url(&self, at: &SecretPath) -> Result<Url> {
        let path = at.path.split('/').filter(|part| !part.is_empty());
        self.url(["secrets", at.mount.as_str()].into_iter().chain(path))
    }

    fn url<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Result<Url> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| Failure::usage("the broker's address cannot have a path"))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(segments);
        Ok(url)
    }
}

pub(crate) fn no_session() -> Failure {
    Failure::usage("there is no session").fix("run `daypass login` first")
}

fn with_body(mut call: Call, body: &impl Serialize) -> Result<Call> {
    let bytes = serde_json::to_vec(body).map_err(|error| Failure::local("the request cannot be written").because(&error))?;
    call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call.body = Some(Zeroizing::new(bytes));
    Ok(call)
}

/// The URL with the fields of `query` that say something.
fn asking(mut url: Url, query: &impl Serialize) -> Result<Url> {
    let fields = serde_json::to_value(query).map_err(|error| Failure::local("the query cannot be written").because(&error))?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => {
                url.query_pairs_mut().append_pair(name, text);
            }
            other => {
                url.query_pairs_mut().append_pair(name, &other.to_string());
            }
        }
    }
    Ok(url)
}

fn flagged(mut url: Url, name: &str, value: &str) -> Url {
    url.query_pairs_mut().append_pair(name, value);
    url
}

impl std::str::FromStr for SecretPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mount, path) = text.split_once('/').unwrap_or((text, ""));
        if mount.is_empty() {
            return Err("write it as MOUNT/PATH, such as secret/shop/registry".to_owned());
        }
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err("a path must not hold . or .. as a part".to_owned());
        }
        Ok(Self { mount: mount.to_owned(), path: path.trim_end_matches('/').to_owned() })
    }
}

impl std::fmt::Display for SecretPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.mount, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_what_the_broker_reads() {
        let credentials = ["db".to_owned()];
        let ask = Exchange {
            token: "a.b.c",
            role: Some("shop-deploy"),
            credentials: &credentials,
            ttl: Some("15m"),
            session_only: false,
        };
        let read: domain::wire::ExchangeRequest =
            serde_json::from_slice(&serde_json::to_vec(&ask).expect("written")).expect("read");
        assert_eq!(read.token.expose(), "a.b.c");
        assert_eq!(
            (read.role.as_deref(), read.credentials.as_slice(), read.ttl.as_deref()),
            (Some("shop-deploy"), &credentials[..], Some("15m"))
        );
    }

    #[test]
    fn escapes_what_stands_in_a_path() {
        let base = Url::parse("http://127.0.0.1:1/base/").expect("a URL");
        let api = Api::new(Http::new("the broker", "--ca-file", None, &base).expect("a client"), base);
        let at: SecretPath = "secret/shop/a b?c".parse().expect("a path");
        assert_eq!(api.secret_url(&at).expect("a URL").as_str(), "http://127.0.0.1:1/base/api/v1/secrets/secret/shop/a%20b%3Fc");
        assert!("secret/../audit".parse::<SecretPath>().is_err());
    }
}

//! One way out to the network: TLS only (plain HTTP to loopback), no redirects, capped bodies, and repeats only where they
//! cannot hurt, all within one deadline.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use domain::wire::Problem;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Method, StatusCode, redirect};
use tokio::time::Instant;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::render::Out;
use crate::stop::Stop;

/// All attempts of one call together.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(15);
const LARGEST_ANSWER: usize = 8 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Whether a call may be sent again when nobody knows whether the first one arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Reading, deleting, or carrying an idempotency key.
    Always,
    /// Only when the other side certainly did nothing: no connection, or a refusal that comes before any work.
    IfNotBegun,
}

pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Duration,
    /// Not begun and not repeated once this process was told to end. Giving back is not stoppable.
    pub(crate) stoppable: bool,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, repeat: Repeat) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, repeat, deadline: DEADLINE, stoppable: true }
    }

    /// A header whose value must not be shown.
    pub(crate) fn secret_header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Failure::usage(format!("the value for {name} holds characters that no header can hold")))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
    retry_after: Option<Duration>,
}

impl Answer {
    pub(crate) fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    /// Who is at the other end, for messages: "the broker".
    peer: &'static str,
    /// Which setting takes the other end's CA, for messages.
    ca_setting: &'static str,
    /// Where to say that it takes longer.
    notes: Option<Out>,
    stop: Stop,
}

impl Http {
    /// For calls to the host of `url`. With `ca_file` only the authorities in it are believed, without it those of the system.
    pub(crate) fn new(peer: &'static str, ca_setting: &'static str, ca_file: Option<&Path>, url: &Url) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("daypass/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .https_only(url.scheme() == "https");
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = ca_file {
            builder = builder.tls_certs_only(read_certificates(path, ca_setting)?);
        }
        let client = builder.build().map_err(|error| {
            Failure::local("TLS cannot be set up")
                .because(&error)
                .fix(format!("install the system's CA certificates or name a file: {ca_setting}"))
        })?;
        Ok(Self { client, peer, ca_setting, notes: None, stop: Stop::default() })
    }

    /// Says on standard error when an answer takes more than one attempt.
    #[must_use]
    pub(crate) const fn with_notes(mut self, out: Out) -> Self {
        self.notes = Some(out);
        self
    }

    /// Ends the asking when this process is told to end.
    #[must_use]
    pub(crate) fn with_stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// The answer, whatever its status. Repeats within the call's deadline; a failure means that no answer was had.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer> {
        if call.stoppable && self.stop.told().is_some() {
            return Err(Failure::local("told to end before the next request"));
        }
        let until = Instant::now() + call.deadline;
        let mut pause = FIRST_PAUSE;
        let mut said = None;
        loop {
            let outcome = self.attempt(call, until).await;
            let wait = match &outcome {
                Ok(answer) => match again(answer, call.repeat) {
                    Again::After(told) => told,
                    Again::Soon => pause,
                    Again::No => return self.outcome(call, outcome, said),
                },
                Err(error) if is_distrust(error) => return Err(self.explain(&call.url, error)),
                Err(error) if error.is_connect() || call.repeat == Repeat::Always => pause,
                Err(error) => return Err(self.explain(&call.url, error)),
            };
            let wait = jittered(wait);
            // A repeat that could not end in time is worth less than the reason known now.
            if Instant::now() + wait >= until {
                return self.outcome(call, outcome, said);
            }
            if let Some(out) = self.notes
                && pause == FIRST_PAUSE
            {
                let place = call.url.origin().ascii_serialization();
                let why = if outcome.is_ok() { "cannot do it yet" } else { "does not answer yet" };
                out.note(&format!("{} at {place} {why}; trying for {} s", self.peer, call.deadline.as_secs()));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.wait(), if call.stoppable => return self.outcome(call, outcome, said),
            }
            said = outcome.ok().or(said);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What is told in the end. A refusal says more than the silence of a later attempt.
    fn outcome(&self, call: &Call, last: Result<Answer, reqwest::Error>, said: Option<Answer>) -> Result<Answer> {
        match (last, said) {
            (Ok(answer), _) | (Err(_), Some(answer)) => Ok(answer),
            (Err(error), None) => Err(self.explain(&call.url, &error)),
        }
    }

    async fn attempt(&self, call: &Call, until: Instant) -> Result<Answer, reqwest::Error> {
        let left = until.saturating_duration_since(Instant::now()).min(ATTEMPT);
        let mut request = self.client.request(call.method.clone(), call.url.clone()).headers(call.headers.clone()).timeout(left);
        if let Some(body) = &call.body {
            request = request.body(body.to_vec());
        }
        let mut response = request.send().await?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                break; // Cut short it cannot be read, which is what the caller then says.
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body, retry_after })
    }

    fn explain(&self, url: &Url, error: &reqwest::Error) -> Failure {
        let place = url.origin().ascii_serialization();
        let mut failure = if error.is_timeout() {
            Failure::unreachable(format!("{} at {place} did not answer in time", self.peer))
        } else {
            Failure::unreachable(format!("{} at {place} cannot be reached", self.peer))
        };
        // The URL is told once, without its path and query.
        failure.causes = reasons(error).collect();
        if is_distrust(error) {
            failure.fix(format!("if it uses a private certificate authority, name its file: {}", self.ca_setting))
        } else if failure.causes.iter().any(|cause| cause.contains("dns error")) {
            failure.fix("check the host name and the network of this job")
        } else {
            failure.fix("check the address, the network of this job and HTTPS_PROXY / NO_PROXY")
        }
    }
}

/// A certificate that is not believed will not be believed a second later.
fn is_distrust(error: &reqwest::Error) -> bool {
    reasons(error).any(|reason| reason.contains("certificate"))
}

fn reasons(error: &reqwest::Error) -> impl Iterator<Item = String> {
    std::iter::successors(std::error::Error::source(error), |error| error.source()).map(ToString::to_string)
}

/// What an answer means for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    /// After the usual pause.
    Soon,
    /// After the time that the answer names.
    After(Duration),
}

fn again(answer: &Answer, repeat: Repeat) -> Again {
    if answer.status.is_success() {
        return Again::No;
    }
    let problem = answer.problem();
    let code = problem.as_ref().map(|problem| problem.code.as_str());
    let when = answer.retry_after.map_or(Again::Soon, Again::After);
    // Any other code may stand for a fault in the middle of the work, with only its answer lost.
    if repeat == Repeat::IfNotBegun && !matches!(code, Some("overloaded" | "rate_limited" | "keys_unavailable")) {
        return Again::No;
    }
    match answer.status.as_u16() {
        // A quota does not pass by waiting, a rate limit does and says so.
        429 => answer.retry_after.map_or(Again::No, Again::After),
        409 if code == Some("in_progress") => when,
        // The target's permissions are wrong; a second try changes nothing.
        500.. if code == Some("target_refused") => Again::No,
        500.. => when,
        _ => Again::No,
    }
}

/// Up to a quarter longer, so that jobs that were turned away together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let random = u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xff).unwrap_or(0);
    wait + wait * random / 1024
}

/// Parses an address that secrets may be sent to: https, or http to this very machine.
pub(crate) fn trusted_url(text: &str, setting: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| {
        Failure::usage(format!("{setting} is not an address: {text}")).because(&error).fix("write it like https://broker.example")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage(format!("{setting} must not hold a user name or password")));
    }
    match url.scheme() {
        "https" if url.host().is_some() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(Failure::usage(format!("{setting} is not https: {}", url.origin().ascii_serialization()))
            .fix("tokens and credentials travel over TLS only; plain http is taken for loopback addresses alone")),
        _ => {
            Err(Failure::usage(format!("{setting} is not an https address: {text}")).fix("write it like https://broker.example"))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn read_certificates(path: &Path, setting: &str) -> Result<Vec<Certificate>> {
    let pem = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("the CA file {} cannot be read", path.display())).because(&error).fix(setting))?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|error| Failure::usage(format!("the CA file {} is not PEM", path.display())).because(&error))?;
    if certificates.is_empty() {
        return Err(Failure::usage(format!("the CA file {} holds no certificate", path.display())));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;

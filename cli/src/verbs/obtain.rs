//! How a verb comes to its credentials: from the session that is kept, or by exchanging this job's token.

use std::path::PathBuf;
use std::time::Duration;

use domain::wire::SessionAsk;
use tokio::task::JoinSet;
use url::Url;

use crate::ambient::{Glance, Wanted, discover};
use crate::api::{Api, Exchange};
use crate::args::{Asking, ShowClaims};
use crate::context::Context;
use crate::deliver::github::add_mask;
use crate::failure::{Failure, Result};
use crate::http::trusted_url;
use crate::issued::Issued;
use crate::session::Session;

/// A CI system gives a cancelled job some ten seconds in all.
const RELEASE_DEADLINE: Duration = Duration::from_secs(8);

/// Credentials in hand, and the session to release them with.
#[derive(Debug)]
pub(crate) struct Obtained {
    pub(crate) api: Api,
    pub(crate) issued: Issued,
    pub(crate) session: Session,
    /// Opened for this ask alone; otherwise the session belongs to an earlier `login`.
    pub(crate) fresh: bool,
}

/// Asks with the kept session where there is one that fits, else opens a new one.
pub(crate) async fn obtain(context: &Context, asking: &Asking, credentials: &[String]) -> Result<Obtained> {
    // Before a session that tells it is forgotten.
    let address = context.address();
    if !names_another_token(asking) {
        let fits = |session: &Session| session.address.is_some() && asking.role.as_ref().is_none_or(|role| *role == session.role);
        while let Some(session) = context.kept()?.into_iter().find(fits) {
            match ask_again(context, asking, credentials, &session).await {
                // The next command need not try it again.
                Err(failure) if failure.code() == Some("session_unknown") => context.keep()?.forget(&session.id)?,
                Err(failure) => return Err(failure),
                Ok((api, issued)) => return Ok(Obtained { api, issued, session, fresh: false }.hidden(context)),
            }
        }
    }
    exchange_at(context, &address?, asking, Some(credentials)).await
}

/// Exchanges this job's token, whatever is kept: for these credentials, for all of the role where none is named, or with
/// `None` for a session alone.
pub(crate) async fn exchange(context: &Context, asking: &Asking, credentials: Option<&[String]>) -> Result<Obtained> {
    exchange_at(context, &context.address()?, asking, credentials).await
}

async fn exchange_at(context: &Context, address: &Url, asking: &Asking, credentials: Option<&[String]>) -> Result<Obtained> {
    let api = context.broker(address)?;
    let found = discover(&context.env, &wanted(context, asking, address)).await?;
    let session_only = credentials.is_none();
    let credentials = credentials.unwrap_or_default();
    let ask = Exchange {
        token: found.token.expose(),
        role: asking.role.as_deref(),
        credentials,
        ttl: asking.ttl.as_deref(),
        session_only,
    };
    let key = uuid::Uuid::new_v4().to_string();
    let answer = api.exchange(&ask, &key).await.map_err(|failure| {
        let glance = if asking.token.show_claims == ShowClaims::Safe { Glance::of(&found) } else { None };
        let failure = failure.about(glance);
        match failure.code() {
            // A GitLab job has one token for all its life.
            Some("token_already_used") => failure.fix(
                "run `daypass login` once at the start of the job; later commands then use its session instead of the token",
            ),
            _ => failure,
        }
    })?;
    let issued = Issued::new(answer, credentials);
    let operators = context.operator_address().ok();
    let session = Session::opened(&issued, Some(address.as_str()), operators.as_ref().map(Url::as_str))?;
    Ok(Obtained { api: api.with_session(session.token.clone()), issued, session, fresh: true }.hidden(context))
}

/// Spends the first operator's token at the operators' listener.
pub(crate) async fn bootstrap(context: &Context, file: PathBuf) -> Result<Obtained> {
    let operators = context.operator_address()?;
    let api = context.broker(&operators)?;
    // Where jobs speak to the broker, the session can be released; the operators' listener does not end sessions.
    let address = match &context.global.address {
        Some(address) => Some(trusted_url(address, "--address")?),
        None => None,
    };
    let found = discover(&context.env, &Wanted { token_file: Some(file), ..Wanted::default() }).await?;
    let issued = Issued::new(api.bootstrap(&found.token).await?, &[]);
    let session = Session::opened(&issued, address.as_ref().map(Url::as_str), Some(operators.as_str()))?;
    let api = address.as_ref().map_or(Ok(api), |address| context.broker(address))?;
    Ok(Obtained { api: api.with_session(session.token.clone()), issued, session, fresh: true }.hidden(context))
}

async fn ask_again(context: &Context, asking: &Asking, credentials: &[String], session: &Session) -> Result<(Api, Issued)> {
    let api = context.broker_with(session)?;
    let ask = SessionAsk { credentials: credentials.to_vec(), ttl: asking.ttl.clone(), ..SessionAsk::default() };
    let issued = Issued::new(api.credentials(&ask).await?, credentials);
    Ok((api, issued))
}

/// A token named on the command line is meant to be used, also when a session is kept.
fn names_another_token(asking: &Asking) -> bool {
    asking.token.token_env.is_some() || asking.token.token_file.is_some()
}

fn wanted(context: &Context, asking: &Asking, address: &Url) -> Wanted {
    Wanted {
        audience: asking.token.audience.clone().unwrap_or_else(|| address.origin().ascii_serialization()),
        token_file: asking.token.token_file.clone().or_else(|| {
            let offered = context.env.var("DAYPASS_TOKEN_FILE").filter(|_| asking.token.token_env.is_none());
            offered.map(PathBuf::from)
        }),
        token_env: asking.token.token_env.clone(),
        ci_ca_file: context.global.ci_ca_file.clone(),
        stop: context.stop.clone(),
    }
}

impl Obtained {
    /// The job's log hides the values before anybody can print them.
    fn hidden(self, context: &Context) -> Self {
        if context.env.in_github() {
            let token = self.fresh.then_some(&self.session.token);
            token.into_iter().chain(self.issued.confidential()).for_each(|value| add_mask(value.expose()));
        }
        self
    }

    /// Gives back what this ask was given, all of it at once: the time is short. Each failure comes with what is still alive and
    /// until when.
    pub(crate) async fn release(&self) -> Vec<(String, Failure)> {
        if self.fresh {
            return match self.api.end_session(RELEASE_DEADLINE).await {
                Err(failure) if !is_gone(&failure) => vec![(self.alive("the leases could not be released"), failure)],
                _ => Vec::new(),
            };
        }
        let mut releases = JoinSet::new();
        for credential in self.issued.credentials.iter().filter(|credential| credential.revocable) {
            let Some(id) = credential.lease_id.clone() else { continue };
            let (api, name) = (self.api.clone(), credential.name.clone());
            releases.spawn(async move { (name, api.release_lease(&id, RELEASE_DEADLINE).await) });
        }
        let mut failures = Vec::new();
        for (name, released) in releases.join_all().await {
            if let Err(failure) = released
                && !is_gone(&failure)
            {
                failures.push((self.alive(&format!("the lease of {name} could not be released")), failure));
            }
        }
        failures
    }

    fn alive(&self, what: &str) -> String {
        let ends =
            self.issued.credentials.iter().filter_map(|credential| credential.expires_at).max().unwrap_or(self.issued.ends_at);
        format!("{what}; it ends by itself at {}", crate::render::moment(ends))
    }
}

/// What is gone already needs no release.
fn is_gone(failure: &Failure) -> bool {
    matches!(failure.code(), Some("session_unknown" | "lease_unknown"))
}

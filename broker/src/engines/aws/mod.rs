//! AWS session credentials by `AssumeRole`, called with the credentials of the broker's own surroundings.
//!
//! AWS cannot take such credentials back one by one: they end by their own clock, the lease is *passive* and the answer says so.
//! Everything that AWS limits is checked before anything is recorded, so that a role that cannot work leaves no trace.

mod call;
mod limits;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::SharedCredentialsProvider;
use domain::credentials::aws::{Auth, NAME, Params, is_region};
use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::engine::{Ask, Bench, Engine, EngineError, Issued, Order, Plan, Revoked};

/// How long one attempt may take; there are two.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The longest session that a caller gets which is itself in an assumed role.
const CHAINED: Duration = Duration::from_hours(1);

/// `[engine.aws]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where STS is, if not at AWS. Without TLS only on this machine.
    pub endpoint_url: Option<String>,
    /// The region of credentials that name none; without it, that of the surroundings (`AWS_REGION`).
    pub region: Option<String>,
}

/// The engine. It looks up its own credentials when the first session is asked for.
#[derive(Debug)]
pub struct Aws {
    settings: Settings,
    /// Instead of the credentials of the surroundings.
    keys: Option<SharedCredentialsProvider>,
    surroundings: OnceCell<SdkConfig>,
    /// Whether the broker is itself in an assumed role.
    chained: OnceCell<bool>,
    clients: Mutex<HashMap<String, Client>>,
}

/// What stands for a session that is to be.
#[derive(Debug, Serialize, Deserialize)]
struct Handle {
    role_arn: String,
    session_name: String,
}

impl Aws {
    /// Checks the settings. Nothing is looked up or called yet.
    pub fn new(settings: Settings) -> Result<Self, EngineError> {
        if let Some(endpoint) = &settings.endpoint_url {
            check_endpoint(endpoint).map_err(|what| EngineError::Misconfigured(format!("`engine.aws.endpoint_url` {what}")))?;
        }
        if settings.region.as_ref().is_some_and(|region| !is_region(region)) {
            return Err(EngineError::Misconfigured("`engine.aws.region` is no region such as eu-central-1".to_owned()));
        }
        Ok(Self { settings, keys: None, surroundings: OnceCell::new(), chained: OnceCell::new(), clients: Mutex::default() })
    }

    async fn look_around(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ATTEMPT * 2)
            .build();
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts);
        match &self.keys {
            Some(keys) => loader.credentials_provider(keys.clone()).load().await,
            None => loader.load().await,
        }
    }

    /// A client in the region of these parameters, and that region.
    async fn client(&self, params: &Params) -> Result<(Client, String), EngineError> {
        let surroundings = self.surroundings.get_or_init(|| self.look_around()).await;
        let region = params
            .region
            .clone()
            .or_else(|| self.settings.region.clone())
            .or_else(|| surroundings.region().map(ToString::to_string))
            .ok_or_else(|| {
                EngineError::Misconfigured(
                    "no region: set `region` in the credential or in [engine.aws], or AWS_REGION where the broker runs"
                        .to_owned(),
                )
            })?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.clone()).or_insert_with(|| {
            let mut config = aws_sdk_sts::config::Builder::from(surroundings).region(Region::new(region.clone()));
            config
                .set_endpoint_url(self.settings.endpoint_url.clone().or_else(|| surroundings.endpoint_url().map(str::to_owned)));
            Client::from_conf(config.build())
        });
        Ok((client.clone(), region))
    }
}

impl Engine for Aws {
    const NAME: &'static str = NAME;
    const ORDER: Order = Order::Irrevocable;
    type Params = Params;

    async fn plan(&self, _bench: &Bench, ask: &Ask<'_, Params>) -> Result<Plan, EngineError> {
        let session_name = session_name(ask);
        limits::lifetime(ask.ttl)?;
        limits::check(&ask.params, &session_name)?;
        let handle = Handle { role_arn: ask.params.role_arn.clone(), session_name };
        Ok(Plan {
            // A session name says whose the keys are; many sessions may carry it, two steps of one run for a start.
            upstream: None,
            connection: None,
            handle: Secret::new(serde_json::to_vec(&handle).map_err(|error| EngineError::Fault(error.into()))?),
            revocable: false,
            leased: true,
        })
    }

    async fn issue(&self, bench: &Bench, ask: &Ask<'_, Params>, _plan: &Plan) -> Result<Issued, EngineError> {
        let session_name = session_name(ask);
        limits::lifetime(ask.ttl)?;
        limits::check(&ask.params, &session_name)?;
        let left = Duration::try_from(ask.create_deadline - bench.system.now()).unwrap_or_default();
        let issued = async {
            match ask.params.auth {
                Auth::Ambient => self.assume_role(&ask.params, &session_name, ask.ttl).await,
            }
        };
        match tokio::time::timeout(left, issued).await {
            Ok(issued) => issued,
            Err(_) => Err(EngineError::TargetUnavailable("STS did not answer before the create deadline".to_owned())),
        }
    }

    /// Never has to be called: such a lease is passive.
    async fn revoke(&self, _bench: &Bench, _handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        Err(EngineError::TargetRefused("AWS ends session credentials only by their own clock".to_owned()))
    }
}

/// As the role says, or the lease's own id, which CloudTrail then shows.
fn session_name(ask: &Ask<'_, Params>) -> String {
    ask.params.session_name.clone().unwrap_or_else(|| format!("daypass-{}", ask.lease_id.simple()))
}

/// An address that is TLS, or on this machine.
fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let url = Url::parse(endpoint).map_err(|_| "is no URL")?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("names no host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password");
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("must be https; http is only for this machine"),
    }
}

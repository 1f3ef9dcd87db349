//! The calls to STS and what their answers mean.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use domain::secret::Secret;
use time::OffsetDateTime;

use super::{Aws, CHAINED, EngineError, Issued, Params};
use crate::telemetry::chain;

impl Aws {
    /// One session in the role.
    pub(super) async fn assume_role(&self, params: &Params, session_name: &str, ttl: Duration) -> Result<Issued, EngineError> {
        let (client, region) = self.client(params).await?;
        let chained = *self.chained.get_or_try_init(|| is_chained(&client)).await?;
        let limited = chained && ttl > CHAINED;
        let seconds = if limited { CHAINED } else { ttl }.as_secs();

        let tags = params.session_tags.iter().map(|(key, value)| tag(key, value)).collect::<Result<Vec<_>, _>>()?;
        let policies = params.policy_arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build()).collect::<Vec<_>>();
        let answer = client
            .assume_role()
            .role_arn(&params.role_arn)
            .role_session_name(session_name)
            .duration_seconds(i32::try_from(seconds).map_err(|error| EngineError::Fault(error.into()))?)
            .set_tags((!tags.is_empty()).then_some(tags))
            .set_policy_arns((!policies.is_empty()).then_some(policies))
            .set_policy(params.session_policy.clone())
            .set_source_identity(params.source_identity.clone())
            .set_external_id(params.external_id.clone())
            .send()
            .await
            .map_err(|error| explain(&error))?;
        let mut issued = read(&answer, region)?;
        if limited {
            issued
                .facts
                .insert("ttl_limited_by".to_owned(), "aws: the broker is itself in an assumed role, one hour at most".to_owned());
        }
        Ok(issued)
    }
}

/// Whether the broker's own credentials are those of an assumed role: then AWS gives an hour and refuses more.
async fn is_chained(client: &Client) -> Result<bool, EngineError> {
    let caller = client.get_caller_identity().send().await.map_err(|error| explain(&error))?;
    Ok(caller.arn().is_some_and(|arn| arn.contains(":assumed-role/")))
}

fn tag(key: &str, value: &str) -> Result<Tag, EngineError> {
    Tag::builder().key(key).value(value).build().map_err(|error| EngineError::Fault(error.into()))
}

fn read(answer: &AssumeRoleOutput, region: String) -> Result<Issued, EngineError> {
    let unreadable = || EngineError::TargetUnavailable("STS answered without credentials".to_owned());
    let keys = answer.credentials().ok_or_else(unreadable)?;
    if keys.access_key_id().is_empty() || keys.secret_access_key().is_empty() || keys.session_token().is_empty() {
        return Err(unreadable());
    }
    let native_expiry = OffsetDateTime::from_unix_timestamp(keys.expiration().secs()).map_err(|_| unreadable())?;
    let mut facts = BTreeMap::from([("access_key_id".to_owned(), keys.access_key_id().to_owned())]);
    if let Some(user) = answer.assumed_role_user() {
        facts.insert("assumed_role_arn".to_owned(), user.arn().to_owned());
    }
    if let Some(percent) = answer.session_token_utilization() {
        facts.insert("session_token_percent".to_owned(), percent.to_string());
    }
    Ok(Issued {
        values: BTreeMap::from([
            ("access_key_id".to_owned(), Secret::from(keys.access_key_id())),
            ("secret_access_key".to_owned(), Secret::from(keys.secret_access_key())),
            ("session_token".to_owned(), Secret::from(keys.session_token())),
            ("region".to_owned(), Secret::new(region)),
        ]),
        native_expiry: Some(native_expiry),
        facts,
    })
}

/// Codes with which AWS asks for patience.
const LATER: [&str; 9] = [
    "InternalError",
    "InternalFailure",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// Tells whose fault an error is, in AWS's own words. Raw answers are left out: they could hold keys.
fn explain<E, R>(error: &SdkError<E, R>) -> EngineError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let Some(code) = answer.err().code() else { return not_sts() };
            let text = format!("{code}: {}", answer.err().message().unwrap_or("no message"));
            if LATER.contains(&code) { EngineError::TargetUnavailable(text) } else { EngineError::TargetRefused(text) }
        }
        SdkError::TimeoutError(_) => EngineError::TargetUnavailable("STS did not answer in time".to_owned()),
        SdkError::ResponseError(_) => not_sts(),
        SdkError::DispatchFailure(failure) => {
            let text = failure.as_connector_error().map_or_else(String::new, |error| chain(error));
            let hint = if failure.is_other() { " (has the broker AWS credentials in its surroundings?)" } else { "" };
            EngineError::TargetUnavailable(format!("STS could not be called{hint}: {text}"))
        }
        other => EngineError::Misconfigured(chain(other)),
    }
}

fn not_sts() -> EngineError {
    EngineError::TargetUnavailable("STS answered something that is not its protocol".to_owned())
}

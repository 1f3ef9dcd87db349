//! AWS credentials by AssumeRole.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{Bounds, Engine, Fault, Field, Reach, Shape, settle, text};
use super::template::Site;

pub const NAME: &str = "aws";

/// How long a session lives at least and at most.
pub const SHORTEST: Duration = Duration::from_mins(15);
pub const LONGEST: Duration = Duration::from_hours(12);

/// What a role says about its AWS credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub role_arn: String,
    #[serde(default)]
    pub session_tags: BTreeMap<String, String>,
    /// Without one the engine names the session after the lease.
    #[serde(default)]
    pub session_name: Option<String>,
    /// A JSON policy document that narrows the role.
    #[serde(default)]
    pub session_policy: Option<String>,
    #[serde(default)]
    pub policy_arns: Vec<String>,
    #[serde(default)]
    pub source_identity: Option<String>,
    #[serde(default)]
    pub external_id: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub auth: Auth,
}

/// How the broker proves itself to AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// By the credentials of the machine it runs on.
    #[default]
    Ambient,
}

/// The engine as the policy sees it.
#[derive(Debug)]
pub struct Aws;

static FIELDS: &[Field] = &[
    Field { name: "role_arn", shape: Shape::Text, required: true, site: Site::Arn },
    Field { name: "session_tags", shape: Shape::Map, required: false, site: Site::Tag },
    Field { name: "session_name", shape: Shape::Text, required: false, site: Site::Name },
    Field { name: "session_policy", shape: Shape::Text, required: false, site: Site::Policy },
    Field { name: "policy_arns", shape: Shape::Texts, required: false, site: Site::Fixed },
    Field { name: "source_identity", shape: Shape::Text, required: false, site: Site::Name },
    Field { name: "external_id", shape: Shape::Text, required: false, site: Site::Fixed },
    Field { name: "region", shape: Shape::Text, required: false, site: Site::Fixed },
    Field { name: "auth", shape: Shape::Text, required: false, site: Site::Fixed },
];

impl Engine for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    /// Twelve hours is the most that any role can be set to; the engine itself knows the hour of a chained role.
    fn bounds(&self) -> Bounds {
        Bounds { floor: SHORTEST, ceiling: Some(LONGEST) }
    }

    fn normal(&self, params: Value) -> Result<Value, String> {
        settle::<Params>(params)
    }

    /// The account stands before the part of the ARN that takes templates.
    fn reach<'p>(&self, params: &'p Value) -> Reach<'p> {
        text(params, "role_arn").and_then(account).map_or(Reach::Unknown, Reach::AwsAccount)
    }

    fn check(&self, params: &Value) -> Vec<Fault> {
        match serde_json::from_value(params.clone()) {
            Ok(params) => faults(&params),
            Err(error) => vec![Fault::new("auth", format!("cannot be read: {error}; the only auth is \"ambient\""))],
        }
    }
}

/// The account that a role ARN speaks of. It stands before the part that takes templates.
pub fn account(role_arn: &str) -> Option<&str> {
    role_arn.split(':').nth(4)
}

/// What AWS would not take in one `AssumeRole`. The policy asks when a set is loaded and when claims have been put in, the engine before
/// it records anything. No message repeats a value: it may come from a token.
pub fn faults(params: &Params) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !is_arn(&params.role_arn, ":role/") {
        faults.push(Fault::new("role_arn", "expected arn:aws:iam::ACCOUNT:role/NAME with an account of twelve digits"));
    }
    if params.session_tags.len() > 50 {
        faults.push(Fault::new("session_tags", "AWS takes at most 50 session tags"));
    }
    for (key, value) in &params.session_tags {
        let sane = |text: &str| text.chars().all(|c| c.is_alphanumeric() || Site::Tag.takes(c));
        if key.is_empty() || key.chars().count() > 128 || !sane(key) || key.to_lowercase().starts_with("aws:") {
            faults.push(Fault::new("session_tags", format!("`{}` cannot be a tag key", key.escape_debug())));
        }
        if value.chars().count() > 256 || !sane(value) {
            faults.push(Fault::new("session_tags", format!("the value of `{}` cannot be a tag value", key.escape_debug())));
        }
    }
    let mut folded: Vec<String> = params.session_tags.keys().map(|key| key.to_lowercase()).collect();
    folded.sort();
    if folded.windows(2).any(|pair| pair.first() == pair.last()) {
        faults.push(Fault::new("session_tags", "AWS does not tell tag keys apart that differ only by case"));
    }
    for (field, name) in [("session_name", &params.session_name), ("source_identity", &params.source_identity)] {
        if name.as_ref().is_some_and(|name| !(2..=64).contains(&name.len()) || !name.chars().all(|c| Site::Name.takes(c))) {
            faults.push(Fault::new(field, "expected 2 to 64 letters, digits or any of _+=,.@-"));
        }
    }
    if params.source_identity.as_ref().is_some_and(|identity| identity.to_ascii_lowercase().starts_with("aws:")) {
        faults.push(Fault::new("source_identity", "AWS keeps `aws:` at its beginning to itself"));
    }
    let policy = params.session_policy.as_deref();
    if policy.is_some_and(|policy| !matches!(serde_json::from_str(policy), Ok(Value::Object(_)))) {
        faults.push(Fault::new("session_policy", "expected a JSON policy document"));
    }
    let length = policy.map_or(0, |policy| policy.chars().count()) + params.policy_arns.iter().map(String::len).sum::<usize>();
    if length > 2048 {
        let field = if policy.is_some() { "session_policy" } else { "policy_arns" };
        faults.push(Fault::new(field, "AWS takes at most 2048 characters of session_policy and policy_arns together"));
    }
    if params.policy_arns.len() > 10 || params.policy_arns.iter().any(|arn| !is_arn(arn, ":policy/")) {
        faults.push(Fault::new("policy_arns", "expected at most 10 of arn:aws:iam::ACCOUNT:policy/NAME"));
    }
    let external = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    if params.external_id.as_ref().is_some_and(|id| !(2..=1224).contains(&id.len()) || !id.chars().all(external)) {
        faults.push(Fault::new("external_id", "expected 2 to 1224 letters, digits or any of _+=,.@:/-"));
    }
    if params.region.as_ref().is_some_and(|name| !is_region(name)) {
        faults.push(Fault::new("region", "expected a region such as eu-central-1"));
    }
    faults
}

/// Whether `name` can be a region, which becomes part of a host name.
pub fn is_region(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=32).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether `arn` is `arn:PARTITION:iam::ACCOUNT` followed by `kind` and a name.
fn is_arn(arn: &str, kind: &str) -> bool {
    let Some((head, name)) = arn.split_once(kind) else { return false };
    let mut parts = head.split(':');
    let fits = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition == "aws" || partition.starts_with("aws-"))
        && parts.next() == Some("iam")
        && parts.next() == Some("")
        && parts.next().is_some_and(|account| {
            (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())) || (account == "aws" && kind == ":policy/")
        })
        && parts.next().is_none();
    fits && (20..=2048).contains(&arn.len()) && !name.is_empty() && name.chars().all(|c| Site::Arn.takes(c))
}

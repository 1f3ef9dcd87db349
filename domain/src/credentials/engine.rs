//! What the policy must know of an engine: its parameters, where claims may stand in them, and how long a credential lives.

use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;

use super::template::Site;

/// The TOML shape of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Integer,
    Texts,
    /// Names with text values.
    Map,
}

impl Shape {
    /// The word for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "a whole number, zero or greater",
            Self::Texts => "a list of strings",
            Self::Map => "a table of strings",
        }
    }
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// Which claims can be put in, or that none can.
    pub site: Site,
}

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub field: &'static str,
    pub message: String,
}

impl Fault {
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// How long a credential of the engine can live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Below it the target cannot make one.
    pub floor: Duration,
    /// Above it the target cannot make one.
    pub ceiling: Option<Duration>,
}

/// Whose property a credential opens, for the owners of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<'p> {
    /// A connection of the broker.
    Connection(&'p str),
    /// Secrets: a mount, and a path that may hold globs and templates.
    Secrets {
        mount: &'p str,
        path: &'p str,
    },
    AwsAccount(&'p str),
    /// The broker itself.
    Broker,
    /// Nothing that can be told; nobody owns it.
    Unknown,
}

impl std::fmt::Display for Reach<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(name) => write!(f, "the connection `{name}`"),
            Self::Secrets { mount, path } => write!(f, "the secrets `{path}` of the mount `{mount}`"),
            Self::AwsAccount(account) => write!(f, "the AWS account {account}"),
            Self::Broker => f.write_str("the rights of operators"),
            Self::Unknown => f.write_str("this credential"),
        }
    }
}

/// The text of a parameter.
pub(super) fn text<'p>(params: &'p Value, field: &str) -> Option<&'p str> {
    params.get(field)?.as_str()
}

/// An engine as the policy sees it. One file per engine; the list is in `credentials/mod.rs`.
pub trait Engine: Debug + Send + Sync {
    /// The word in `engine = "…"`.
    fn name(&self) -> &'static str;

    fn fields(&self) -> &'static [Field];

    fn bounds(&self) -> Bounds;

    /// The parameters in their one normal form, defaults filled in.
    fn normal(&self, params: Value) -> Result<Value, String>;

    /// What is wrong with the values. `params` holds no unfilled template.
    fn check(&self, params: &Value) -> Vec<Fault>;

    /// Whether an ask that names no credentials gets this one too. `params` are in normal form, templates unfilled.
    fn is_given_unasked(&self, params: &Value) -> bool {
        let _ = params;
        true
    }

    /// Whose property the credential opens. `params` are in normal form, templates unfilled.
    fn reach<'p>(&self, params: &'p Value) -> Reach<'p>;
}

/// Reads parameters and writes them again, so that defaults and order are settled.
pub(super) fn settle<T: serde::Serialize + serde::de::DeserializeOwned>(params: Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(params).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

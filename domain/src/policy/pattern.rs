//! Conditions: what one claim must say.
//!
//! Every operator but `absent` is false on a claim that is missing, so that taking a claim away never opens a door. A claim
//! that is JSON `null` counts as missing. A claim of another type than the schema tells satisfies nothing.

use std::fmt;

use super::glob::Glob;
use crate::claims::{Claims, Json};
use crate::issuers::issuer::{Case, Claim, Type};

/// A plain value as the policy writes it. Values of different types are never equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// One of these; sorted, each once, never empty.
    OneOf(Vec<Value>),
    Glob(Glob),
    Present,
    Absent,
}

/// A claim and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The claim's name, or a JSON pointer.
    pub claim: String,
    pub pattern: Pattern,
    pub(crate) ty: Type,
    pub(crate) fold: bool,
}

impl Condition {
    pub fn new(claim: String, schema: &Claim, pattern: Pattern) -> Self {
        Self { claim, pattern, ty: schema.ty, fold: schema.case == Case::FoldAscii }
    }

    /// Whether the claims satisfy it.
    pub fn holds(&self, claims: &Claims) -> bool {
        let value = claims.get(&self.claim).filter(|value| **value != Json::Null);
        match (&self.pattern, value) {
            (Pattern::Absent, value) => value.is_none(),
            (_, None) => false,
            (Pattern::Present, Some(value)) => typed(self.ty, value),
            (pattern, Some(value)) => match (self.ty, value) {
                // A list satisfies what one of its elements satisfies.
                (Type::Strings, Json::Array(items)) => {
                    typed(self.ty, value) && items.iter().any(|item| pattern.takes(item, self.fold))
                }
                (Type::Strings, _) => false,
                _ => typed(self.ty, value) && pattern.takes(value, self.fold),
            },
        }
    }
}

/// Whether a claim's value has the type that the schema tells.
pub(crate) fn typed(ty: Type, value: &Json) -> bool {
    match ty {
        Type::String => matches!(value, Json::String(_)),
        Type::Integer => matches!(value, Json::Int(_)),
        Type::Boolean => matches!(value, Json::Bool(_)),
        Type::Strings => value.as_array().is_some_and(|items| items.iter().all(|item| matches!(item, Json::String(_)))),
        Type::Object => matches!(value, Json::Object(_) | Json::Array(_)),
    }
}

impl Pattern {
    fn takes(&self, value: &Json, fold: bool) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|wanted| wanted.is(value, fold)),
            Self::Glob(glob) => value.as_str().is_some_and(|text| glob.matches(text, fold)),
            Self::Present | Self::Absent => false,
        }
    }

    /// Whether a plain text fits, for names that are no claims.
    pub fn takes_text(&self, text: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|value| matches!(value, Value::Text(wanted) if wanted == text)),
            Self::Glob(glob) => glob.matches(text, false),
            Self::Present => true,
            Self::Absent => false,
        }
    }

    /// The values of an equality.
    pub fn values(&self) -> Option<&[Value]> {
        match self {
            Self::OneOf(values) => Some(values),
            _ => None,
        }
    }
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn is(&self, value: &Json, fold: bool) -> bool {
        match (self, value) {
            (Self::Text(wanted), Json::String(text)) => wanted == text || (fold && wanted.eq_ignore_ascii_case(text)),
            (Self::Int(wanted), Json::Int(number)) => wanted == number,
            (Self::Bool(wanted), Json::Bool(value)) => wanted == value,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    /// As TOML writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&super::print::quoted(text)),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Pattern {
    /// As TOML writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => match values.as_slice() {
                [one] => write!(f, "{one}"),
                many => {
                    f.write_str("[")?;
                    for (at, value) in many.iter().enumerate() {
                        if at > 0 {
                            f.write_str(", ")?;
                        }
                        write!(f, "{value}")?;
                    }
                    f.write_str("]")
                }
            },
            Self::Glob(glob) => write!(f, "{{ glob = {} }}", super::print::quoted(glob.as_str())),
            Self::Present => f.write_str("{ present = true }"),
            Self::Absent => f.write_str("{ absent = true }"),
        }
    }
}

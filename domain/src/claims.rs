//! Strict JSON and what a verified token says.
//!
//! A token is untrusted input that decides about access, so its JSON is read by stricter rules than usual (RFC 7515
//! section 4, RFC 7519 section 4): duplicate names are refused at any depth, depth, counts and lengths are bounded,
//! control characters are refused, and a number is an `i64` or says that it is not one.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize};

/// A JSON value as the strict reader gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no `i64`: a fraction, an exponent, or out of range.
    Number(f64),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// A JSON object with unique names, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Json)>);

/// How much the reader accepts before it refuses.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nested arrays and objects, the outermost included.
    pub depth: usize,
    /// Members and elements in the whole text.
    pub members: usize,
    /// Bytes of one string or name.
    pub string: usize,
}

impl Limits {
    /// A token's header or payload.
    pub const TOKEN: Self = Self { depth: 8, members: 256, string: 1024 };
    /// A key set or discovery document. Certificate chains make long strings.
    pub const KEYS: Self = Self { depth: 8, members: 4096, string: 16 * 1024 };
    /// A request body: a token of 16 KiB inside.
    pub const BODY: Self = Self { depth: 8, members: 4096, string: 32 * 1024 };
}

/// Why a text is not acceptable JSON. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not acceptable JSON at line {line}, column {column}: {reason}")]
pub struct JsonError {
    pub line: usize,
    pub column: usize,
    pub reason: &'static str,
}

/// Reads one JSON value that fills the whole of `bytes`.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Json, JsonError> {
    let mut budget = Budget { members: limits.members, limits, reason: "a syntax error" };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { budget: &mut budget, depth: 0 }.deserialize(&mut reader);
    let outcome = value.and_then(|value| reader.end().map(|()| value));
    outcome.map_err(|error| JsonError { line: error.line(), column: error.column(), reason: budget.reason })
}

struct Budget {
    members: usize,
    limits: Limits,
    reason: &'static str,
}

impl Budget {
    fn refuse<E: de::Error>(&mut self, reason: &'static str) -> E {
        self.reason = reason;
        E::custom(reason)
    }

    fn spend<E: de::Error>(&mut self) -> Result<(), E> {
        match self.members.checked_sub(1) {
            Some(left) => {
                self.members = left;
                Ok(())
            }
            None => Err(self.refuse("too many members")),
        }
    }

    fn text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.len() > self.limits.string {
            return Err(self.refuse("a string is too long"));
        }
        // Almost every text is printable ASCII, which a vectorised loop tells at once.
        let plain = text.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
        if !plain && text.chars().any(char::is_control) {
            return Err(self.refuse("a string holds a control character"));
        }
        Ok(())
    }
}

struct Strict<'a> {
    budget: &'a mut Budget,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= self.budget.limits.depth {
            return Err(self.budget.refuse("nested too deeply"));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        #[expect(clippy::cast_precision_loss, reason = "a number beyond i64 is only ever refused, never computed with")]
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        self.budget.text(value)?;
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict { budget: self.budget, depth })? {
            self.budget.spend()?;
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut object = Object::default();
        while let Some(name) = map.next_key::<String>()? {
            self.budget.spend()?;
            self.budget.text(&name)?;
            if object.get(&name).is_some() {
                return Err(self.budget.refuse("a name stands twice"));
            }
            let value = map.next_value_seed(Strict { budget: self.budget, depth })?;
            object.0.push((name, value));
        }
        Ok(Json::Object(object))
    }
}

impl Object {
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts `value` at `name`, in place of what stood there.
    pub fn set(&mut self, name: &str, value: Json) {
        match self.0.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => *held = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(held, _)| held == name)?;
        Some(self.0.remove(at).1)
    }
}

impl FromIterator<(String, Json)> for Object {
    /// The first of two equal names stays.
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Self {
        let mut object = Self::default();
        for (name, value) in members {
            if object.get(&name).is_none() {
                object.0.push((name, value));
            }
        }
        object
    }
}

impl Json {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The word for this value's type, for messages.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Json {
    /// For values that we stored ourselves; what comes from outside goes through [`parse`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limits = Limits { depth: 64, members: 65_536, string: 1 << 20 };
        let mut budget = Budget { members: limits.members, limits, reason: "" };
        Strict { budget: &mut budget, depth: 0 }.deserialize(deserializer)
    }
}

/// What a verified CI token says.
///
/// Only the verifier makes one from a token; tools make one from a sample or a file and then speak of a sample. Clones share
/// what they hold: a decision, its session and its record all speak of the same claims.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(Arc<Object>);

impl Claims {
    /// The caller vouches that `object` was verified, is a sample, or was recorded after verification.
    pub fn from_verified(object: Object) -> Self {
        Self(Arc::new(object))
    }

    /// The claim at `path`: a name, or a JSON pointer (RFC 6901) when it starts with `/`.
    pub fn get(&self, path: &str) -> Option<&Json> {
        let Some(pointer) = path.strip_prefix('/') else { return self.0.get(path) };
        let mut steps = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let mut value = self.0.get(&steps.next()?)?;
        for step in steps {
            value = match value {
                Json::Object(object) => object.get(&step)?,
                Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path)?.as_str()
    }

    pub fn object(&self) -> &Object {
        &self.0
    }

    pub fn object_mut(&mut self) -> &mut Object {
        Arc::make_mut(&mut self.0)
    }

    /// A copy with one claim put in or replaced, for samples and cases.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.object_mut().set(name, value.into());
        self
    }

    /// A copy without one claim, for samples and cases.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.object_mut().remove(name);
        self
    }
}

impl Serialize for Claims {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Object(object) => Ok(Self::from_verified(object)),
            _ => Err(de::Error::custom("claims are a JSON object")),
        }
    }
}

mod edit;

#[cfg(test)]
mod tests;

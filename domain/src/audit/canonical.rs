//! Canonical bytes, version 1.
//!
//! Every part is either of fixed length or carries its length before it, optional parts carry a flag, maps are sorted by
//! name, and integers are written whole. Reading accepts exactly what writing makes, so the mapping is one to one.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Personal, Record};
use crate::claims::{Json, Object};

/// The first bytes of every record: a name and the version of this format.
const MAGIC: &[u8] = b"dpa\x01";

/// How deep values may nest, so that reading is bounded.
pub(super) const DEPTH: usize = 32;

/// The bytes are not the canonical form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the bytes of an audit record: {0}")]
pub struct Unreadable(pub(super) &'static str);

pub(super) fn write(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(record.id.as_bytes());
    out.extend_from_slice(&micros(record.at).to_be_bytes());
    text(&mut out, record.kind.as_str());
    out.extend_from_slice(record.decision_id.as_bytes());
    optional(&mut out, record.session_id, |out, id| out.extend_from_slice(id.as_bytes()));
    optional(&mut out, record.lease_id, |out, id| out.extend_from_slice(id.as_bytes()));
    for part in [&record.issuer, &record.project, &record.project_name, &record.role, &record.code] {
        optional(&mut out, part.as_deref(), text);
    }
    optional(&mut out, record.policy_hash, |out, hash| out.extend_from_slice(&hash));
    optional(&mut out, record.row, |out, row| out.extend_from_slice(&row.to_be_bytes()));
    length(&mut out, record.fields.len());
    for (name, field) in &record.fields {
        text(&mut out, name);
        value(&mut out, field);
    }
    length(&mut out, record.personal.len());
    for (name, personal) in &record.personal {
        text(&mut out, name);
        out.extend_from_slice(&personal.hash);
    }
    out
}

pub(super) fn read(bytes: &[u8]) -> Result<Record, Unreadable> {
    let mut from = Reader(bytes);
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Unreadable("unknown format or version"));
    }
    let id = from.uuid()?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(i64::from_be_bytes(from.fixed()?)) * 1_000)
        .map_err(|_| Unreadable("a time out of range"))?;
    let kind = from.text()?.parse().map_err(|_| Unreadable("an unknown kind"))?;
    let mut record = Record::new(id, at, kind, from.uuid()?);
    record.session_id = from.optional(Reader::uuid)?;
    record.lease_id = from.optional(Reader::uuid)?;
    record.issuer = from.optional(Reader::text)?;
    record.project = from.optional(Reader::text)?;
    record.project_name = from.optional(Reader::text)?;
    record.role = from.optional(Reader::text)?;
    record.code = from.optional(Reader::text)?;
    record.policy_hash = from.optional(Reader::fixed)?;
    record.row = from.optional(|from| Ok(u32::from_be_bytes(from.fixed()?)))?;
    record.fields = from.map(|from| from.value(0))?;
    record.personal = from.map(|from| Ok(Personal { hash: from.fixed()?, clear: None }))?;
    if from.0.is_empty() { Ok(record) } else { Err(Unreadable("bytes after the end")) }
}

fn micros(at: OffsetDateTime) -> i64 {
    // Years -9999 to 9999 in microseconds always fit.
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

fn length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u64).to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn optional<T>(out: &mut Vec<u8>, part: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(part.is_some()));
    if let Some(part) = part {
        write(out, part);
    }
}

fn value(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => out.push(0),
        Json::Bool(false) => out.push(1),
        Json::Bool(true) => out.push(2),
        Json::Int(number) => {
            out.push(3);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Json::Number(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_bits().to_be_bytes());
        }
        Json::String(string) => {
            out.push(5);
            text(out, string);
        }
        Json::Array(items) => {
            out.push(6);
            length(out, items.len());
            for item in items {
                value(out, item);
            }
        }
        Json::Object(object) => {
            out.push(7);
            length(out, object.len());
            for (name, member) in object.iter() {
                text(out, name);
                value(out, member);
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn uuid(&mut self) -> Result<Uuid, Unreadable> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    fn length(&mut self) -> Result<usize, Unreadable> {
        let length = u64::from_be_bytes(self.fixed()?);
        // Every counted thing takes at least a byte: what is left bounds the count.
        usize::try_from(length).ok().filter(|length| *length <= self.0.len()).ok_or(Unreadable("a length beyond the end"))
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Unreadable("a text that is not UTF-8"))?.to_owned())
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Unreadable>) -> Result<Option<T>, Unreadable> {
        match self.fixed()? {
            [0] => Ok(None),
            [1] => read(self).map(Some),
            _ => Err(Unreadable("a flag that is neither 0 nor 1")),
        }
    }

    fn map<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>) -> Result<BTreeMap<String, T>, Unreadable> {
        let mut map = BTreeMap::new();
        for _ in 0..self.length()? {
            let name = self.text()?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(Unreadable("names out of order"));
            }
            map.insert(name, read(self)?);
        }
        Ok(map)
    }

    fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        if depth > DEPTH {
            return Err(Unreadable("values nested too deeply"));
        }
        Ok(match self.fixed()? {
            [0] => Json::Null,
            [1] => Json::Bool(false),
            [2] => Json::Bool(true),
            [3] => Json::Int(i64::from_be_bytes(self.fixed()?)),
            [4] => Json::Number(f64::from_bits(u64::from_be_bytes(self.fixed()?))),
            [5] => Json::String(self.text()?),
            [6] => {
                let length = self.length()?;
                Json::Array((0..length).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?)
            }
            [7] => {
                let mut object = Object::default();
                for _ in 0..self.length()? {
                    let name = self.text()?;
                    if object.get(&name).is_some() {
                        return Err(Unreadable("a name stands twice"));
                    }
                    let member = self.value(depth + 1)?;
                    object.set(&name, member);
                }
                Json::Object(object)
            }
            _ => return Err(Unreadable("an unknown type of value")),
        })
    }
}

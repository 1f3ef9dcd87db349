//! What is kept of a record beside its frame, which stands in columns of its own: in a quarter of the room that the canonical
//! bytes take.
//!
//! Names that every token has are one byte, numbers and hashes that come as text are kept as what they are. Nothing is
//! committed to these bytes, so there may be several for one record; all that counts is that reading gives the record back.
//! Tables grow at their end only: what stands in databases was written with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use uuid::Uuid;

use super::canonical::{DEPTH, Unreadable};
use super::{Personal, Record, hex};
use crate::claims::{Json, Object};

mod words;

use words::{NAMES, VALUES};

/// The version of this form.
const VERSION: u8 = 1;

static NAME_CODES: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| NAMES.iter().copied().zip(1..).collect());
static VALUE_CODES: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| VALUES.iter().copied().zip(tag::COMMON..).collect());

/// What a value begins with; from [`COMMON`] on it is one of [`VALUES`].
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const NUMBER: u8 = 4;
    pub(super) const TEXT: u8 = 5;
    pub(super) const ARRAY: u8 = 6;
    pub(super) const OBJECT: u8 = 7;
    /// A text of lower-case hexadecimal digits, two to a byte.
    pub(super) const HEX: u8 = 8;
    /// A text that is a UUID in lower case.
    pub(super) const UUID: u8 = 9;
    /// A text that is a whole number without leading zeros.
    pub(super) const DECIMAL: u8 = 10;
    pub(super) const COMMON: u8 = 16;
}

/// Which of the optional parts are there, in the order in which they stand.
const POLICY: u8 = 1;
const ROW: u8 = 1 << 1;

/// Everything of a record that is not in its frame.
pub(super) fn write(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.push(VERSION);
    let flags = [(record.policy_hash.is_some(), POLICY), (record.row.is_some(), ROW)];
    out.push(flags.iter().filter(|(there, _)| *there).fold(0, |flags, (_, flag)| flags | flag));
    record.policy_hash.iter().for_each(|hash| out.extend_from_slice(hash));
    record.row.iter().for_each(|row| number(&mut out, u64::from(*row)));
    number(&mut out, record.fields.len() as u64);
    for (field, json) in &record.fields {
        name(&mut out, field);
        value(&mut out, json);
    }
    number(&mut out, record.personal.len() as u64);
    for (field, personal) in &record.personal {
        name(&mut out, field);
        out.extend_from_slice(&personal.hash);
    }
    out
}

/// Fills `record`, of which the frame is known.
pub(super) fn read(record: &mut Record, bytes: &[u8]) -> Result<(), Unreadable> {
    let mut from = Reader(bytes);
    if from.byte()? != VERSION {
        return Err(Unreadable("unknown version"));
    }
    let flags = from.byte()?;
    record.policy_hash = (flags & POLICY != 0).then(|| from.fixed()).transpose()?;
    let row = (flags & ROW != 0).then(|| from.number()).transpose()?;
    record.row = row.map(u32::try_from).transpose().map_err(|_| Unreadable("a row out of range"))?;
    record.fields = from.map(|from| from.value(0))?;
    record.personal = from.map(|from| Ok(Personal { hash: from.fixed()?, clear: None }))?;
    if from.0.is_empty() { Ok(()) } else { Err(Unreadable("bytes after the end")) }
}

/// Seven bits to a byte, the lowest first.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while let low @ 0x80.. = number {
        out.push(low.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn name(out: &mut Vec<u8>, name: &str) {
    if let Some(code) = NAME_CODES.get(name) {
        out.push(*code);
    } else {
        out.push(0);
        text(out, name);
    }
}

fn value(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => out.push(tag::NULL),
        Json::Bool(false) => out.push(tag::FALSE),
        Json::Bool(true) => out.push(tag::TRUE),
        Json::Int(int) => {
            out.push(tag::INT);
            // The sign in the lowest bit, so that small numbers of either sign are short.
            number(out, ((int << 1) ^ (int >> 63)).cast_unsigned());
        }
        Json::Number(float) => {
            out.push(tag::NUMBER);
            out.extend_from_slice(&float.to_bits().to_be_bytes());
        }
        Json::String(string) => texts(out, string),
        Json::Array(items) => {
            out.push(tag::ARRAY);
            number(out, items.len() as u64);
            for item in items {
                value(out, item);
            }
        }
        Json::Object(object) => {
            out.push(tag::OBJECT);
            number(out, object.len() as u64);
            for (name, member) in object.iter() {
                text(out, name);
                value(out, member);
            }
        }
    }
}

/// A text value as what it says.
fn texts(out: &mut Vec<u8>, string: &str) {
    if let Some(code) = VALUE_CODES.get(string) {
        out.push(*code);
    } else if let Some(decimal) = decimal(string) {
        out.push(tag::DECIMAL);
        number(out, decimal);
    } else if let Some(id) = Uuid::try_parse(string).ok().filter(|id| id.as_hyphenated().to_string() == string) {
        out.push(tag::UUID);
        out.extend_from_slice(id.as_bytes());
    } else if let Some(bytes) = unhex(string) {
        out.push(tag::HEX);
        number(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    } else {
        out.push(tag::TEXT);
        text(out, string);
    }
}

fn decimal(string: &str) -> Option<u64> {
    let plain = matches!(string.as_bytes(), [b'1'..=b'9', rest @ ..] if rest.len() < 19 && rest.iter().all(u8::is_ascii_digit));
    if plain { string.parse().ok() } else { None }
}

fn unhex(string: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = string.as_bytes().as_chunks::<2>();
    if pairs.len() < 4 || !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
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

    fn byte(&mut self) -> Result<u8, Unreadable> {
        let [byte] = self.fixed()?;
        Ok(byte)
    }

    fn uuid(&mut self) -> Result<Uuid, Unreadable> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable("a number out of range"))
    }

    /// How many things follow. Each takes at least a byte: what is left bounds the count.
    fn count(&mut self) -> Result<usize, Unreadable> {
        let count = self.number()?;
        usize::try_from(count).ok().filter(|count| *count <= self.0.len()).ok_or(Unreadable("a length beyond the end"))
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let length = self.count()?;
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Unreadable("a text that is not UTF-8"))?.to_owned())
    }

    fn name(&mut self) -> Result<String, Unreadable> {
        match usize::from(self.byte()?) {
            0 => self.text(),
            code => NAMES.get(code - 1).map(|name| (*name).to_owned()).ok_or(Unreadable("an unknown name")),
        }
    }

    fn map<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Unreadable>) -> Result<BTreeMap<String, T>, Unreadable> {
        let mut map = BTreeMap::new();
        for _ in 0..self.count()? {
            let name = self.name()?;
            if map.insert(name, read(self)?).is_some() {
                return Err(Unreadable("a name stands twice"));
            }
        }
        Ok(map)
    }

    fn value(&mut self, depth: usize) -> Result<Json, Unreadable> {
        if depth > DEPTH {
            return Err(Unreadable("values nested too deeply"));
        }
        Ok(match self.byte()? {
            tag::NULL => Json::Null,
            tag::FALSE => Json::Bool(false),
            tag::TRUE => Json::Bool(true),
            tag::INT => {
                let number = self.number()?;
                Json::Int((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
            }
            tag::NUMBER => Json::Number(f64::from_bits(u64::from_be_bytes(self.fixed()?))),
            tag::TEXT => Json::String(self.text()?),
            tag::ARRAY => {
                let count = self.count()?;
                Json::Array((0..count).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?)
            }
            tag::OBJECT => {
                let mut object = Object::default();
                for _ in 0..self.count()? {
                    let name = self.text()?;
                    let member = self.value(depth + 1)?;
                    object.set(&name, member);
                }
                Json::Object(object)
            }
            tag::HEX => {
                let length = self.count()?;
                Json::String(hex(self.take(length)?))
            }
            tag::UUID => Json::String(self.uuid()?.to_string()),
            tag::DECIMAL => Json::String(self.number()?.to_string()),
            code => {
                let known = code.checked_sub(tag::COMMON).and_then(|at| VALUES.get(usize::from(at)));
                Json::String((*known.ok_or(Unreadable("an unknown type of value"))?).to_owned())
            }
        })
    }
}

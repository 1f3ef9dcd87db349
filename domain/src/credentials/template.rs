//! Templates: `{claim}` inside a parameter.
//!
//! A claim is text that others chose. It is put in only where every one of its characters is harmless for that very place;
//! nothing is cut, replaced or escaped into something else, apart from the JSON of a session policy, whose allowed
//! characters need no escape. What cannot stand there refuses the exchange.

use crate::claims::{Claims, Json};

/// Where a template stands, and so which characters a claim may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Nothing may be put in.
    Fixed,
    /// The name or path of a role inside an ARN.
    Arn,
    /// The value of an AWS session tag.
    Tag,
    /// An AWS session name or source identity.
    Name,
    /// One segment of a path of the secret store.
    Segment,
    /// A string inside an IAM policy document.
    Policy,
}

impl Site {
    /// Whether `sign` is harmless here.
    pub const fn takes(self, sign: char) -> bool {
        if sign.is_ascii_alphanumeric() {
            return !matches!(self, Self::Fixed);
        }
        match self {
            Self::Fixed => false,
            Self::Arn => matches!(sign, '_' | '+' | '=' | ',' | '.' | '@' | '-' | '/'),
            Self::Tag => matches!(sign, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@'),
            Self::Name => matches!(sign, '_' | '+' | '=' | ',' | '.' | '@' | '-'),
            Self::Segment => matches!(sign, '_' | '.' | '@' | '-' | '=' | '+'),
            // No quote, backslash, `*`, `?` or `$`: neither the JSON nor the policy language can be left.
            Self::Policy => matches!(sign, '_' | '.' | '/' | '=' | '+' | '-' | '@' | ','),
        }
    }

    /// The most characters of one claim.
    const fn longest(self) -> usize {
        match self {
            Self::Fixed => 0,
            Self::Arn | Self::Policy => 512,
            Self::Tag | Self::Segment => 256,
            Self::Name => 64,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Claim(String),
}

/// A text with claims in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    site: Site,
}

/// Why a template could not be filled. It names the claim, never more of the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    #[error("the claim {0} is absent")]
    Absent(String),
    #[error("the claim {claim} holds {sign:?}, which cannot stand in the role's parameters")]
    Sign { claim: String, sign: char },
    #[error("the claim {0} is empty, too long or a path step, and cannot stand in the role's parameters")]
    Shape(String),
}

impl Template {
    /// Reads a text. In policy documents only `{name}` is a template and every other brace is JSON; elsewhere a brace that
    /// is no template is an error.
    pub fn parse(text: &str, site: Site) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let claim = from.strip_prefix('{').and_then(|inner| inner.split_once('}')).filter(|(name, _)| is_claim(name));
            match claim {
                Some((name, after)) if !(site == Site::Policy && plain.ends_with('$')) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Claim(name.to_owned()));
                    rest = after;
                }
                _ if site == Site::Policy => {
                    let (brace, after) = from.split_at(1);
                    plain.push_str(brace);
                    rest = after;
                }
                _ => return Err("a brace that is no template; write {claim} with the name of a claim".to_owned()),
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts, site })
    }

    /// The claims it names.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Claim(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Puts the claims in.
    pub fn fill(&self, claims: &Claims) -> Result<String, Unfilled> {
        self.with(|name| self.value(name, claims))
    }

    /// Puts `filler` in for every claim, to check the text around.
    pub fn filled_with(&self, filler: &str) -> String {
        self.parts.iter().map(|part| if let Part::Text(text) = part { text.as_str() } else { filler }).collect()
    }

    fn with(&self, value: impl Fn(&str) -> Result<String, Unfilled>) -> Result<String, Unfilled> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Claim(name) => filled.push_str(&value(name)?),
            }
        }
        Ok(filled)
    }

    fn value(&self, name: &str, claims: &Claims) -> Result<String, Unfilled> {
        let value = match claims.get(name) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Int(number)) => number.to_string(),
            Some(Json::Bool(value)) => value.to_string(),
            Some(_) | None => return Err(Unfilled::Absent(name.to_owned())),
        };
        if let Some(sign) = value.chars().find(|sign| !self.site.takes(*sign)) {
            return Err(Unfilled::Sign { claim: name.to_owned(), sign });
        }
        let steps = value.split('/').any(|step| matches!(step, "." | ".."));
        if value.is_empty() || value.len() > self.site.longest() || (steps && self.site != Site::Tag) {
            return Err(Unfilled::Shape(name.to_owned()));
        }
        Ok(value)
    }
}

/// Whether what stands between braces can be the name of a claim or a JSON pointer.
fn is_claim(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '/');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '~' | ':'))
}

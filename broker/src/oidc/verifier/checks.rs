//! What the claims of an authentic token must be. Hints speak of the caller's own token only.

use domain::claims::{Claims, Json};
use domain::issuers::issuer::{Kind, Presence, Type};
use domain::refusal::{Code, Refusal};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Believed;

/// Beyond this no time is meant seriously (the year 36812).
const TIME_END: i64 = 1 << 40;

/// What the caller needs beside the claims.
pub(super) struct Checked {
    pub(super) id: Option<String>,
    pub(super) expires_at: i64,
    pub(super) issued_at: i64,
}

/// Claim types, times, audience and required claims, in this order. Optional claims that are null are taken out, so
/// that nobody behind this needs to tell null from absent.
pub(super) fn check(issuer: &Believed<'_>, claims: &mut Claims, now: i64, leeway: i64) -> Result<Checked, Refusal> {
    drop_nulls(issuer.kind, claims);
    check_types(issuer.kind, claims)?;
    check_text(claims, "sub", 512)?;
    let id = match issuer.kind.replay_claim() {
        Some(name) => Some(check_text(claims, name, 256)?.to_owned()),
        None => None,
    };
    let checked = check_times(issuer, claims, now, leeway, id)?;
    check_audience(claims, issuer.audience)?;
    match issuer.kind.required().iter().find(|name| claims.get(name).is_none()) {
        None => Ok(checked),
        Some(name) => Err(incomplete(format!("The token has no {name}; every CI job token of this issuer has one."))),
    }
}

/// Says no to an issuer that is not in the policy set, with what may be wrong about its spelling.
pub(super) fn unknown_issuer(url: &str) -> Refusal {
    let refusal = Refusal::new(Code::IssuerUnknown).hint(format!("The token's iss is {}.", shown(url)));
    if url.ends_with('/') {
        refusal.hint("It ends with a slash; issuers are compared byte by byte, so the entry must have the slash too.")
    } else if !url.starts_with("https://") {
        refusal.hint("It does not start with https://; only https issuers can be believed.")
    } else {
        refusal
    }
}

fn drop_nulls(kind: &dyn Kind, claims: &mut Claims) {
    let is_dropped = |name: &str| kind.claim(name).is_some_and(|claim| claim.presence == Presence::Optional);
    let nulls = claims.object().iter().filter(|(name, value)| **value == Json::Null && is_dropped(name));
    let nulls = nulls.map(|(name, _)| name.to_owned());
    let nested = kind.claims().iter().filter(|claim| claim.name.starts_with('/') && claim.presence == Presence::Optional);
    let nested = nested.filter(|claim| claims.get(&claim.name) == Some(&Json::Null)).map(|claim| claim.name.to_string());
    let nulls: Vec<String> = nulls.chain(nested).collect();
    for name in nulls {
        claims.take(&name);
    }
}

/// Claims of the schema have the schema's type, wherever they stand.
fn check_types(kind: &dyn Kind, claims: &Claims) -> Result<(), Refusal> {
    for (name, value) in claims.object().iter() {
        if let Some(claim) = kind.claim(name) {
            check_type(name, value, claim.ty)?;
        }
    }
    for claim in kind.claims().iter().filter(|claim| claim.name.starts_with('/')) {
        if let Some(value) = claims.get(&claim.name) {
            check_type(&claim.name, value, claim.ty)?;
        }
    }
    Ok(())
}

fn check_type(name: &str, value: &Json, ty: Type) -> Result<(), Refusal> {
    let (fits, expected) = match ty {
        Type::String => (matches!(value, Json::String(_)), "a string"),
        Type::Integer => (matches!(value, Json::Int(_)), "an integer"),
        Type::Boolean => (matches!(value, Json::Bool(_)), "true or false"),
        Type::Strings => {
            let strings = value.as_array().is_some_and(|items| items.iter().all(|item| item.as_str().is_some()));
            (strings, "an array of strings")
        }
        Type::Object => (matches!(value, Json::Object(_) | Json::Array(_)), "an object or an array"),
    };
    if fits { Ok(()) } else { Err(incomplete(format!("The token's {name} is of type {}, not {expected}.", value.type_name()))) }
}

fn check_text<'c>(claims: &'c Claims, name: &str, longest: usize) -> Result<&'c str, Refusal> {
    let text = claims.text(name).filter(|text| (1..=longest).contains(&text.len()));
    text.ok_or_else(|| incomplete(format!("The token's {name} is not a string of 1 to {longest} bytes.")))
}

fn check_times(issuer: &Believed<'_>, claims: &Claims, now: i64, leeway: i64, id: Option<String>) -> Result<Checked, Refusal> {
    let expires_at = time_of(claims, "exp")?.ok_or_else(|| incomplete("The token has no exp."))?;
    let issued_at = time_of(claims, "iat")?.ok_or_else(|| incomplete("The token has no iat."))?;
    let not_before = time_of(claims, "nbf")?;
    if expires_at < issued_at {
        return Err(incomplete("The token's exp lies before its iat."));
    }
    not_over(expires_at, now, leeway)?;
    for (name, from) in [("nbf", not_before), ("iat", Some(issued_at))] {
        let Some(early) = from.map(|from| from - now).filter(|early| *early > leeway) else { continue };
        let hint = format!("The token's {name} lies {early} s ahead; it is {} here, and {leeway} s are allowed.", clock(now));
        return Err(Refusal::new(Code::TokenNotYetValid).hint(hint));
    }
    let lifetime = expires_at - issued_at;
    if lifetime > issuer.ages.lifetime {
        let hint = format!("The token lives {lifetime} s; at most {} s are accepted of its issuer.", issuer.ages.lifetime);
        return Err(Refusal::new(Code::TokenExpired).hint(hint));
    }
    let age = now - issued_at;
    if age > issuer.ages.age {
        let hint = format!("The token was issued {age} s ago; at most {} s are accepted of its issuer.", issuer.ages.age);
        return Err(Refusal::new(Code::TokenExpired).hint(hint));
    }
    Ok(Checked { id, expires_at, issued_at })
}

pub(super) fn not_over(expires_at: i64, now: i64, leeway: i64) -> Result<(), Refusal> {
    if now < expires_at + leeway {
        return Ok(());
    }
    let late = now - expires_at;
    let hint = format!("The token expired at {}, {late} s ago; it is {} here.", clock(expires_at), clock(now));
    Err(Refusal::new(Code::TokenExpired).hint(hint))
}

/// A time is a positive integer, also where it is optional.
fn time_of(claims: &Claims, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Int(seconds)) if (1..TIME_END).contains(seconds) => Ok(Some(*seconds)),
        Some(_) => Err(incomplete(format!("The token's {name} is not a time: a positive whole number of seconds."))),
    }
}

/// One audience, and it is ours.
fn check_audience(claims: &Claims, ours: &str) -> Result<(), Refusal> {
    let audience = match claims.get("aud") {
        Some(Json::Array(items)) if items.len() == 1 => items.first(),
        other => other,
    };
    let refusal = Refusal::new(Code::AudienceMismatch);
    match audience {
        Some(Json::String(audience)) if audience == ours => Ok(()),
        Some(Json::String(audience)) if audience.starts_with("https://github.com/") => Err(refusal.hint(format!(
            "The token's aud is {}, which GitHub gives when no audience is asked for; ask for the broker's.",
            shown(audience)
        ))),
        Some(Json::String(audience)) => Err(refusal.hint(format!("The token's aud is {}.", shown(audience)))),
        Some(Json::Array(items)) => {
            Err(refusal.hint(format!("The token's aud has {} entries; exactly one is accepted.", items.len())))
        }
        _ => Err(refusal.hint("The token's aud is not a string.")),
    }
}

fn incomplete(hint: impl Into<String>) -> Refusal {
    Refusal::new(Code::ClaimsIncomplete).hint(hint)
}

/// A text of the token, escaped and cut, to be shown to whoever sent the token.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let cut = if text.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("\"{}{cut}\"", text.chars().take(LONGEST).flat_map(char::escape_default).collect::<String>())
}

fn clock(seconds: i64) -> String {
    let text = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| seconds.to_string())
}

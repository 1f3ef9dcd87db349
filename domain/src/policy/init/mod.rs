//! A first policy set for a job that there is already: pinned to its ids, with the cases and invariants that keep it so.
//!
//! What is made is loaded and its cases are run before anybody sees it; a token that no policy should let in makes none.

mod files;
mod github;

use std::sync::Arc;

use super::check::check;
use super::lint::foreign_audience;
use super::load::{NAME, is_name};
use super::pattern::{Pattern, Value};
use super::problem::SourceFile;
use crate::claims::{Claims, Json};
use crate::issuers::issuer::{Class, Kind, Type};
use crate::issuers::{built_in, by_name};

pub use github::{Repository, of_repository};

const BY_HAND: &str = "write the set by hand; `daypass policy check` tells what it lacks";
const OWN_AUDIENCE: &str = "have the job ask for a token with the broker's audience, or name it with --audience";

/// What a first set is made from.
#[derive(Clone, Debug)]
pub struct Start {
    pub kind: Arc<dyn Kind>,
    /// Byte for byte the `iss` of its tokens.
    pub url: String,
    pub audience: String,
    /// A token of the job; nobody has verified it.
    pub claims: Claims,
    pub role: String,
    /// Conditions that are wider than what the token says.
    wider: Vec<(&'static str, Pattern)>,
}

/// Why there is no first set, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoStart {
    pub reason: String,
    pub remedy: String,
}

impl NoStart {
    fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

/// From a token's claims. The audience is the token's own unless told.
pub fn of_token(claims: Claims, audience: Option<String>, role: Option<String>) -> Result<Start, NoStart> {
    let url = claims.text("iss").unwrap_or_default().to_owned();
    let kind = kind_of(&url, &claims).ok_or_else(|| {
        NoStart::new(
            format!("no kind of issuer makes tokens like this one (its iss is {url})"),
            format!(
                "take the token of a CI job of one of {}; any other issuer is described by hand in issuers.toml: kind = \"generic\", its \
                 url, your audience, `required`, each claim's class in [issuer.NAME.claims], and in [issuer.NAME.job] the claim that is \
                 its project's id",
                built_in().map(Kind::name).collect::<Vec<_>>().join(", ")
            ),
        )
    })?;
    let audience = match audience {
        Some(audience) => audience,
        None => own_audience(&claims)?,
    };
    let audience = own(&url, audience)?;
    let role = named(role, &kind.job(&url, &claims).project_name.unwrap_or_default())?;
    Ok(Start { kind, url, audience, claims, role, wider: Vec::new() })
}

/// The files of the set.
pub fn init(start: &Start) -> Result<Vec<SourceFile>, NoStart> {
    let struck: Vec<String> = start
        .kind
        .vetoes()
        .iter()
        .filter(|veto| veto.strikes(&start.claims))
        .map(|veto| format!("{} ({})", veto.name, veto.reason))
        .collect();
    if !struck.is_empty() {
        return Err(NoStart::new(
            format!("jobs like this one are kept out: {}", struck.join("; ")),
            "take the token of a push to the main branch on a hosted runner; what else may come in is waived by hand, with a reason",
        ));
    }
    let conditions = conditions(start)?;
    let files = files::of(start, &conditions);
    match check(files.clone()).errors().first() {
        None => Ok(files),
        Some(first) => Err(NoStart::new(format!("the token does not make a sound policy: {first}"), BY_HAND)),
    }
}

/// A claim that the row asks for.
#[derive(Clone, Debug)]
struct Asked<'a> {
    claim: &'a str,
    pattern: Pattern,
    /// What the token says; nothing where it lacks the claim.
    example: Option<&'a str>,
    pins: bool,
}

fn conditions(start: &Start) -> Result<Vec<Asked<'_>>, NoStart> {
    let kind = &start.kind;
    let text = |claim: &str| start.claims.text(claim).filter(|text| !text.is_empty());
    // What tells one commit from the next would keep the next one out.
    let passing = |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let claims: Vec<&str> = match kind.starters() {
        [] => kind
            .claims()
            .iter()
            .filter(|claim| claim.ty == Type::String && (claim.pins_project || claim.gates_code))
            .map(|claim| &*claim.name)
            .filter(|claim| text(claim).is_some_and(|text| !passing(text)))
            .collect(),
        starters => starters.to_vec(),
    };
    let asked = claims.into_iter().filter_map(|claim| {
        let known = kind.claim(claim).filter(|known| !known.personal)?;
        let absent = kind.absences().contains(&claim) && start.claims.get(claim).is_none();
        if absent {
            return Some(Asked { claim, pattern: Pattern::Absent, example: None, pins: false });
        }
        let example = text(claim)?;
        let wider = start.wider.iter().find(|(wider, _)| *wider == claim);
        let pattern = wider.map_or_else(|| Pattern::OneOf(vec![Value::Text(example.to_owned())]), |(_, wider)| wider.clone());
        Some(Asked { claim, pattern, example: Some(example), pins: known.pins_project && known.class == Class::Immutable })
    });
    let asked: Vec<Asked<'_>> = asked.collect();
    if asked.iter().any(|asked| asked.pins) {
        return Ok(asked);
    }
    Err(NoStart::new(
        "the token does not name its project by an id that is never given again",
        "take a token of a newer version of the CI system, or write the policy by hand",
    ))
}

/// The kind whose tokens look like this one; of several the one that asks for the most.
fn kind_of(url: &str, claims: &Claims) -> Option<Arc<dyn Kind>> {
    let there = |name: &str| claims.get(name).is_some_and(|value| *value != Json::Null);
    built_in()
        .filter_map(|kind| by_name(kind.name()))
        .filter(|kind| kind.check_url(url).is_ok() && kind.required().iter().all(|name| there(name)))
        .filter(|kind| kind.relations().iter().all(|relation| relation.holds(claims)))
        .max_by_key(|kind| kind.required().len())
}

fn own_audience(claims: &Claims) -> Result<String, NoStart> {
    let audience = match claims.get("aud") {
        Some(Json::Array(all)) => match all.as_slice() {
            [only] => only.as_str(),
            _ => None,
        },
        Some(audience) => audience.as_str(),
        None => None,
    };
    match audience {
        None => Err(NoStart::new("the token has no audience of its own", OWN_AUDIENCE)),
        Some(audience) => Ok(audience.to_owned()),
    }
}

/// The audience, unless tokens with it are made without a broker in mind.
fn own(url: &str, audience: String) -> Result<String, NoStart> {
    match foreign_audience(url, &audience) {
        None => Ok(audience),
        Some(why) => Err(NoStart::new(format!("the audience {audience} is {why}"), OWN_AUDIENCE)),
    }
}

/// The role as it is asked for, else after the project. It becomes the name of a file.
fn named(role: Option<String>, project: &str) -> Result<String, NoStart> {
    let Some(role) = role else { return Ok(role_name(project)) };
    if !is_name(&role) {
        let reason = format!("`{}` cannot name a role", role.escape_debug());
        return Err(NoStart::new(reason, format!("write {NAME}")));
    }
    if files::TAKEN.contains(&role.as_str()) {
        return Err(NoStart::new(format!("the set has a file {role}.toml already"), "call the role by what its jobs do"));
    }
    Ok(role)
}

/// `acme/My.Shop` as `my-shop-deploy`.
fn role_name(project: &str) -> String {
    let last = project.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = last.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).take(48).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "deploy".to_owned() } else { format!("{plain}-deploy") }
}

#[cfg(test)]
mod tests;

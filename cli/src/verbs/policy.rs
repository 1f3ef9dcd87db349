//! `daypass policy …`: the policy set on this machine, decided by the same code as in the broker. The verbs that a broker carries out
//! stand in `versions`.

mod annotations;
mod check;
mod diff;
mod history;
mod init;
mod load;
mod prove;
mod revision;
mod sarif;
mod show;
mod simulate;
mod snippet;
mod suggest;
mod test;
mod tokens;
mod unnamed;
mod unread;
mod versions;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::claims::{Claims, Json};
use domain::policy::{Ask, Explanation, Issuer, duration, explain, refused_before};
use domain::refusal::Code;
use time::OffsetDateTime;

use crate::args::name_and_value;
use crate::context::Context;
use crate::explanation::{Explanation as Shown, show as show_explanation};
use crate::failure::{Failure, Result};
use crate::input::read;
use crate::policy::{claims_of_json, claims_of_token, issuer, json_of, known, sample, typed};
use crate::render::moment;
use crate::session::now;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check a policy set: every problem with its place, lints and cases. Exit code 1 when something stands against it
    Check(check::Check),
    /// Run the cases of a policy set. Exit code 1 when one fails
    Test(test::Test),
    /// Show how the set decides about a token, every condition of it. Exit code 1 when it denies
    Explain(Box<Explain>),
    /// Decide the set's invariants over every token that its issuers can make. Exit code 1 when one does not hold
    Prove(prove::Prove),
    /// Show which tokens a change lets in and shuts out, one of each, and what else it changes
    Diff(diff::Compare),
    /// Replay what the broker decided lately under this set, for operators. Exit code 1 when a job would fare otherwise
    Simulate(simulate::Simulate),
    /// Find what of this set is wider than its use, for operators
    Suggest(suggest::Suggest),
    /// Make a first set for a job, from a token of it or from its repository
    Init(init::Init),
    #[command(flatten)]
    Versions(versions::Versions),
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The folder of the set
    #[arg(default_value = "policies")]
    folder: PathBuf,
    /// Whose token it is, by its name in the set; told by a token's own `iss` otherwise
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// A decision that a broker recorded, by its id, under the set that made it, for operators
    #[arg(long, value_name = "ID", conflicts_with_all = ["issuer", "base", "with", "without", "role", "credentials", "ttl"])]
    decision: Option<String>,
    /// A token to take the claims from, or - for standard input; it is not verified
    #[arg(long, value_name = "FILE", group = "base")]
    token: Option<PathBuf>,
    /// A JSON object of claims, or - for standard input
    #[arg(long, value_name = "FILE", group = "base")]
    claims: Option<PathBuf>,
    /// A case of the set; without token, claims or case it is a typical token of the issuer: a push to main
    #[arg(long, value_name = "NAME", group = "base", conflicts_with = "issuer")]
    case: Option<String>,
    /// Put a claim in or replace it (NAME:=JSON for other types, NAME:=null leaves it out); may be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = name_and_value)]
    with: Vec<(String, String)>,
    /// Take a claim away; may be given several times
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// The role asked for
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A credential asked for; may be given several times
    #[arg(short = 'C', long = "credential", value_name = "NAME")]
    credentials: Vec<String>,
    /// The time to live asked for
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    ttl: Option<std::time::Duration>,
}

/// The exit code: 0 when the set is sound, or allows.
pub(crate) async fn run(context: &Context, policy: Policy) -> Result<u8> {
    match policy {
        Policy::Versions(verb) => versions::run(context, verb).await.map(|()| 0),
        Policy::Check(check) => check::run(context, &check),
        Policy::Test(test) => test::run(context, &test),
        Policy::Prove(ask) => prove::run(context, &ask),
        Policy::Diff(ask) => diff::run(context, &ask),
        Policy::Explain(ask) if ask.decision.is_some() => {
            let explanation = context.operators()?.explain(&ask.decision.unwrap_or_default()).await?;
            show_explanation(context, &explanation)?;
            Ok(u8::from(explanation.get("code").is_some_and(|code| !code.is_null())))
        }
        Policy::Explain(ask) => {
            let explanation = answer(*ask)?;
            if context.out.is_json() {
                context.out.json(&explanation)?;
            } else {
                let mut text = String::new();
                Shown::of(&explanation)?.describe(&mut text);
                context.out.text(&text)?;
            }
            Ok(u8::from(explanation.code.is_some()))
        }
        Policy::Simulate(ask) => simulate::run(context, ask).await,
        Policy::Suggest(ask) => suggest::run(context, ask).await,
        Policy::Init(ask) => init::run(context, ask).await,
    }
}

fn answer(mut ask: Explain) -> Result<Explanation> {
    let set = load::folder(&ask.folder)?;
    let given = match (&ask.token, &ask.claims) {
        (Some(file), _) => Some(claims_of_token(read(file)?.text.trim_end())?),
        (None, Some(file)) => Some(claims_of_json(read(file)?.text.as_bytes())?),
        (None, None) => None,
    };
    let (issuer, mut claims) = if let Some(name) = ask.case.take() {
        let case = set.cases().iter().find(|case| case.name == name);
        let case =
            case.ok_or_else(|| Failure::usage(format!("the set has no case {name}")).fix("`policy check` runs them all"))?;
        ask.role = ask.role.or_else(|| case.role.clone());
        ask.ttl = ask.ttl.or(case.ttl);
        if ask.credentials.is_empty() {
            ask.credentials.clone_from(&case.credentials);
        }
        let issuer = issuer(&set, Some(&case.issuer), None)?;
        (issuer, case.token(issuer))
    } else {
        let issuer = issuer(&set, ask.issuer.as_deref(), given.as_ref())?;
        (issuer, given.unwrap_or_else(|| sample(issuer)))
    };
    for (name, text) in &ask.with {
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => (name, json_of(name, text)?),
            None => (name.as_str(), typed(issuer, name, text)?),
        };
        known(issuer, name)?;
        if value == Json::Null {
            claims.take(name);
        } else {
            claims.put(name, value);
        }
    }
    for name in &ask.without {
        known(issuer, name)?;
        claims.take(name);
    }
    let asked = Ask {
        issuer: &issuer.name,
        claims: &claims,
        role: ask.role.as_deref(),
        credentials: &ask.credentials,
        ttl: ask.ttl,
        now: issued_at(&claims),
    };
    let mut explanation = explain(&set, &asked);
    let changed: Vec<&str> = ask
        .with
        .iter()
        .map(|(name, _)| name.strip_suffix(':').unwrap_or(name))
        .chain(ask.without.iter().map(String::as_str))
        .collect();
    explanation.notes = left_behind(issuer, &claims, &changed);
    if ask.token.is_some() {
        explanation.notes.extend(expired(&claims, now()));
    }
    Ok(match before(issuer, &claims, ask.token.is_some()) {
        Some((code, hint)) => explanation.refused_before(code, hint),
        None => explanation,
    })
}

/// What the broker would refuse before it asks the policy. Claims that were written by hand may leave out whose token it is and whom it
/// was made for.
fn before(issuer: &Issuer, claims: &Claims, whole: bool) -> Option<(Code, String)> {
    if let Some(iss) = claims.text("iss").filter(|iss| *iss != issuer.url) {
        return Some((Code::IssuerUnknown, format!("iss is {iss}, and {} is {}", issuer.name, issuer.url)));
    }
    if !whole && claims.get("aud").is_none() {
        return None;
    }
    let there = |name: &str| claims.get(name).is_some_and(|value| *value != Json::Null);
    let code = refused_before(issuer, claims, |name| !whole || there(name))?;
    let hint = if code == Code::AudienceMismatch {
        format!("{} takes tokens for {} only", issuer.name, issuer.audience)
    } else {
        let lacks: Vec<&str> = issuer.kind.required().iter().map(AsRef::as_ref).filter(|name| !there(name)).collect();
        format!("the token lacks {}, which {} requires", lacks.join(", "), issuer.name)
    };
    Some((code, hint))
}

fn expired(claims: &Claims, now: OffsetDateTime) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(claims.get("exp").and_then(Json::as_int)?).ok()?;
    (at < now).then(|| {
        format!("the token expired at {}: the broker would refuse it now; this is what it would have said then", moment(at))
    })
}

/// Claims that would have changed with those that were, had the issuer made the token.
fn left_behind(issuer: &Issuer, claims: &Claims, changed: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    for name in changed {
        for other in issuer.kind.follows(name).iter().filter(|other| !changed.contains(*other)) {
            let Some(value) = claims.get(other) else { continue };
            let value = serde_json::to_string(value).unwrap_or_default();
            notes.push(format!("{name} was changed by hand; {other} still says {value}"));
        }
    }
    notes
}

/// The question is what was decided when the token was made, so that the answer does not change with the hour.
fn issued_at(claims: &Claims) -> i64 {
    claims.get("iat").and_then(Json::as_int).unwrap_or(0)
}

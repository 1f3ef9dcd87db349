//! The one evaluation behind `decide` and `explain`. With a trace it looks at everything and writes it down; without one it
//! stops as soon as the outcome is certain. The outcome is the same.

use std::collections::BTreeSet;
use std::time::Duration;

use super::decide::{Allowed, Ask, Planned};
use super::explain::{Limit, Trace};
use super::set::{Credential, Issuer, PolicySet, Role, Row};
use crate::claims::Json;
use crate::issuers::issuer::{JobView, Veto};
use crate::refusal::{Code, Refusal};

/// How a row takes a token.
enum Verdict<'a> {
    Matches,
    /// All but what this veto looks at holds, and the veto strikes.
    ButFor(&'a Veto),
    Fails,
}

/// What an evaluation is to plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those that the ask names; in a session, which ends then (Unix seconds), none that outlives it.
    Credentials {
        session_ends_at: Option<i64>,
    },
    RoleAlone,
}

pub(super) fn evaluate(
    set: &PolicySet,
    ask: &Ask<'_>,
    wanted: Wanted,
    mut trace: Option<&mut Trace>,
) -> Result<Allowed, Refusal> {
    let Some(issuer_at) = set.issuers.iter().position(|issuer| issuer.name == ask.issuer) else {
        return Err(Code::IssuerUnknown.into());
    };
    let Some(issuer) = set.issuers.get(issuer_at) else { return Err(Code::IssuerUnknown.into()) };
    if !issuer.enabled {
        return Err(Code::IssuerDisabled.into());
    }
    let struck: Vec<&Veto> = issuer.kind.vetoes().iter().filter(|veto| veto.strikes(ask.claims)).collect();
    let mut matches: Vec<(usize, usize)> = Vec::new();
    let mut but_for: Option<&Veto> = None;
    for (role_at, row_at) in rows(set, ask, issuer_at, trace.is_some()) {
        let Some((role, row)) = set.roles.get(role_at).and_then(|role| Some((role, role.rows.get(row_at)?))) else { continue };
        let verdict = judge(row, row.issuer_at == issuer_at, ask, &struck, trace.is_some());
        if let Some(trace) = trace.as_deref_mut() {
            trace.row(issuer, role, row_at, row, matches!(verdict, Verdict::Matches), ask.claims);
        }
        match verdict {
            Verdict::Matches if matches.last().is_none_or(|(last, _)| *last != role_at) => matches.push((role_at, row_at)),
            Verdict::ButFor(veto) if but_for.is_none() => but_for = Some(veto),
            _ => {}
        }
    }
    // A role that is only rehearsed does not make the others ambiguous.
    let live = |(role_at, _): &(usize, usize)| set.roles.get(*role_at).is_some_and(|role| !role.shadow);
    if ask.role.is_none() && matches.iter().any(live) {
        matches.retain(live);
    }
    match (matches.as_slice(), ask.role) {
        ([(role_at, row_at)], _) => match set.roles.get(*role_at) {
            Some(role) => plan(issuer, role, *row_at, ask, wanted, trace),
            None => Err(Code::NoRoleMatches.into()),
        },
        ([], named) => {
            let code = match (but_for, named) {
                (Some(veto), _) => veto.code,
                (None, Some(_)) => Code::RoleNotAllowed,
                (None, None) => Code::NoRoleMatches,
            };
            Err(Refusal { hints: hints(issuer, ask, &struck), ..Refusal::new(code) })
        }
        (several, _) => {
            let names: Vec<&str> = several.iter().filter_map(|(at, _)| Some(set.roles.get(*at)?.name.as_str())).collect();
            Err(Refusal::new(Code::RoleAmbiguous).hint(format!("the token can become {}", names.join(", "))))
        }
    }
}

/// The rows to look at: those of the named role, or those that the table finds. An explanation looks at more of them, all
/// of which the shorter list leaves out because they cannot match.
fn rows(set: &PolicySet, ask: &Ask<'_>, issuer_at: usize, all: bool) -> Vec<(usize, usize)> {
    let every = |role_at: usize, role: &Role| (0..role.rows.len()).map(|row_at| (role_at, row_at)).collect::<Vec<_>>();
    match ask.role {
        Some(name) => {
            let found = set.role_index.get(name).and_then(|at| Some((*at, set.roles.get(*at)?)));
            found.map_or_else(Vec::new, |(at, role)| every(at, role))
        }
        None if all => {
            let of_issuer = |role: &&Role| role.rows.iter().any(|row| row.issuer_at == issuer_at);
            let roles = set.roles.iter().enumerate().filter(|(_, role)| of_issuer(role));
            roles.flat_map(|(at, role)| every(at, role)).collect()
        }
        None => set.table.candidates(issuer_at, ask.claims).into_iter().collect(),
    }
}

fn judge<'v>(row: &Row, same_issuer: bool, ask: &Ask<'_>, struck: &[&'v Veto], thorough: bool) -> Verdict<'v> {
    if !same_issuer {
        return Verdict::Fails;
    }
    let barred: Vec<&Veto> = struck.iter().copied().filter(|veto| !row.waive.contains_key(veto.name)).collect();
    let excused = |claim: &str| barred.iter().any(|veto| veto.claim == claim);
    let mut holds = true;
    for condition in &row.conditions {
        if !condition.holds(ask.claims) && !excused(&condition.claim) {
            holds = false;
            if !thorough {
                break;
            }
        }
    }
    match (holds, barred.first()) {
        (false, _) => Verdict::Fails,
        (true, Some(veto)) => Verdict::ButFor(veto),
        // No veto strikes, so none of the conditions was excused.
        (true, None) => Verdict::Matches,
    }
}

/// What the caller may learn: about its own token, never about what a row expects.
fn hints(issuer: &Issuer, ask: &Ask<'_>, struck: &[&Veto]) -> Vec<String> {
    let mut hints: Vec<String> = struck
        .iter()
        .map(|veto| match ask.claims.get(veto.claim) {
            Some(Json::String(value)) => format!("the token's {} is {value}: {}", veto.claim, veto.reason),
            Some(Json::Bool(value)) => format!("the token's {} is {value}: {}", veto.claim, veto.reason),
            Some(Json::Null) | None => format!("the token has no {}: {}", veto.claim, veto.reason),
            Some(_) => format!("the token's {} is of another type than its kind tells: {}", veto.claim, veto.reason),
        })
        .collect();
    hints.extend(issuer.kind.hints(ask.claims));
    hints
}

fn plan(
    issuer: &Issuer,
    role: &Role,
    row: usize,
    ask: &Ask<'_>,
    wanted: Wanted,
    mut trace: Option<&mut Trace>,
) -> Result<Allowed, Refusal> {
    let (named, session_ends_at) = match wanted {
        Wanted::Credentials { session_ends_at } => (true, session_ends_at),
        Wanted::RoleAlone => (false, None),
    };
    let wanted: Vec<&Credential> = if !named {
        Vec::new()
    } else if ask.credentials.is_empty() {
        role.credentials.iter().filter(|credential| credential.engine.is_given_unasked(&credential.params)).collect()
    } else {
        let names: BTreeSet<&str> = ask.credentials.iter().map(String::as_str).collect();
        let known = |name: &str| role.credential(name);
        let unknown: Vec<&str> = names.iter().copied().filter(|name| known(name).is_none()).collect();
        if let Some(name) = unknown.first() {
            let name: String = name.chars().take(64).collect();
            return Err(
                Refusal::new(Code::CredentialUnknown).hint(format!("the role has no credential `{}`", name.escape_debug()))
            );
        }
        names.into_iter().filter_map(known).collect()
    };
    let job = issuer.kind.job(&issuer.url, ask.claims);
    let (mut credentials, mut refused) = (Vec::new(), None);
    // The rights of operators belong to the session; there is nothing to make for them.
    for credential in wanted.into_iter().filter(|credential| !credential.is_operator()) {
        let limits = limits(role, credential, ask, &job, session_ends_at);
        let planned = planned(credential, &limits, ask);
        if let Some(trace) = trace.as_deref_mut() {
            trace.credential(credential, limits, planned.as_ref().err());
        }
        match planned {
            Ok(planned) => credentials.push(planned),
            Err(refusal) if trace.is_none() => return Err(refusal),
            // An explanation tells of every credential; the refusal is the first one's.
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    Ok(Allowed {
        role: role.name.clone(),
        row,
        credentials,
        session_ttl: role.session_ttl,
        token_uses: role.token_uses,
        max_leases: role.max_leases,
        shadow: role.shadow,
        rights: role.rights(),
    })
}

/// Everything that bounds the time to live; of equal ones the first is named.
fn limits(role: &Role, credential: &Credential, ask: &Ask<'_>, job: &JobView, session_ends_at: Option<i64>) -> Vec<Limit> {
    let left = |end: i64| Duration::from_secs(u64::try_from(end.saturating_sub(ask.now)).unwrap_or(0));
    let session = session_ends_at.map_or(role.session_ttl, left);
    let limits = [
        ("request", ask.ttl),
        ("credential", credential.ttl),
        ("role", Some(role.ttl)),
        ("engine", credential.engine.bounds().ceiling),
        ("job", job.ends_at.map(left)),
        ("session", Some(session)),
    ];
    limits.into_iter().filter_map(|(by, ttl)| Some(Limit { by, seconds: ttl?.as_secs() })).collect()
}

fn planned(credential: &Credential, limits: &[Limit], ask: &Ask<'_>) -> Result<Planned, Refusal> {
    let least = limits.iter().min_by_key(|limit| limit.seconds).copied().unwrap_or(Limit { by: "role", seconds: 0 });
    let (ttl, floor) = (Duration::from_secs(least.seconds), credential.engine.bounds().floor);
    if ttl < floor {
        let (ttl, floor) = (super::duration::print(ttl), super::duration::print(floor));
        let hint = format!("`{}` would live {ttl}, limited by {}; its target needs {floor} at least", credential.name, least.by);
        return Err(Refusal::new(Code::TtlBelowMinimum).hint(hint));
    }
    let mut params = credential.params.clone();
    for hole in &credential.holes {
        let filled = hole.template.fill(ask.claims);
        let filled = filled.map_err(|unfilled| Refusal::new(Code::TemplateUnfilled).hint(unfilled.to_string()))?;
        if let Some(place) = params.pointer_mut(&hole.pointer) {
            *place = filled.into();
        }
    }
    // With the claims in place a text can still be too long or a path too deep.
    if !credential.holes.is_empty()
        && let Some(fault) = credential.engine.check(&params).first()
    {
        let hint = format!("with the token's claims `{}` is not acceptable", fault.field);
        return Err(Refusal::new(Code::TemplateUnfilled).hint(hint));
    }
    Ok(Planned { name: credential.name.clone(), engine: credential.engine.name(), params, ttl, ttl_limited_by: least.by })
}

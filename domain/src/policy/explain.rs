//! Why, and why not: the same evaluation as `decide`, written down.
//!
//! An explanation shows what the policy expects. It is for the owners of the policy, never for the caller.

use std::time::Duration;

use serde::Serialize;

use super::decide::{Allowed, Ask};
use super::evaluate::{Wanted, evaluate};
use super::near;
use super::set::{Credential, Issuer, PolicySet, Role, Row};
use crate::claims::{Claims, Json};
use crate::refusal::{Code, Refusal};

/// What the caller is told of a role that is only rehearsed.
pub const SHADOW: &str = "the role is in shadow: it would have been allowed";

/// Everything that was looked at, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// `allow` or `deny`.
    pub outcome: &'static str,
    /// The refusal code of a denial.
    pub code: Option<&'static str>,
    /// One sentence.
    pub summary: String,
    /// What the caller is told beside the code.
    pub hints: Vec<String>,
    pub issuer: String,
    /// The role that was asked for.
    pub asked: Option<String>,
    /// The role that was found.
    pub role: Option<String>,
    pub roles: Vec<RoleTrace>,
    pub credentials: Vec<CredentialTrace>,
    /// What would have matched but for a slip.
    pub near_misses: Vec<String>,
    /// What the question itself leaves open.
    pub notes: Vec<String>,
}

impl Explanation {
    /// The broker would not have come as far as the rows; what they say is shown all the same.
    #[must_use]
    pub fn refused_before(mut self, code: Code, hint: String) -> Self {
        self.hints = vec![hint];
        if self.code.is_none() {
            self.notes.push("the rows alone would allow it".to_owned());
        }
        self.outcome = "deny";
        self.code = Some(code.as_str());
        code.sentence().clone_into(&mut self.summary);
        self
    }
}

/// The rows of one role.
#[derive(Clone, Debug, Serialize)]
pub struct RoleTrace {
    pub role: String,
    pub rows: Vec<RowTrace>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowTrace {
    /// Counted from zero, as in records.
    pub row: usize,
    pub file: String,
    pub line: usize,
    /// The issuer it speaks of.
    pub issuer: String,
    pub issuer_matches: bool,
    pub matches: bool,
    pub conditions: Vec<ConditionTrace>,
    pub vetoes: Vec<VetoTrace>,
}

/// One condition.
#[derive(Clone, Debug, Serialize)]
pub struct ConditionTrace {
    pub claim: String,
    /// As TOML writes it.
    pub expected: String,
    /// As JSON writes it; none when the claim is missing.
    pub actual: Option<String>,
    pub holds: bool,
    pub near_miss: Option<String>,
}

/// One veto.
#[derive(Clone, Debug, Serialize)]
pub struct VetoTrace {
    pub name: &'static str,
    pub code: &'static str,
    pub claim: &'static str,
    pub actual: Option<String>,
    pub strikes: bool,
    /// The reason for which the row lifts it.
    pub waived: Option<String>,
    pub reason: &'static str,
}

/// One credential and its time to live.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialTrace {
    pub name: String,
    pub engine: &'static str,
    pub limits: Vec<Limit>,
    /// The limit that won.
    pub limited_by: Option<&'static str>,
    pub ttl_seconds: Option<u64>,
    /// Why it cannot be made.
    pub problem: Option<String>,
}

/// One bound of a time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    pub by: &'static str,
    pub seconds: u64,
}

/// Explains what [`super::decide`] answers to the same ask.
pub fn explain(set: &PolicySet, ask: &Ask<'_>) -> Explanation {
    explain_wanted(set, ask, Wanted::Credentials { session_ends_at: None })
}

/// The same for an ask of a session, or of a role alone.
pub fn explain_wanted(set: &PolicySet, ask: &Ask<'_>, wanted: Wanted) -> Explanation {
    let mut trace = Trace::default();
    let outcome = evaluate(set, ask, wanted, Some(&mut trace));
    trace.finish(set, ask, outcome)
}

/// What an evaluation writes down.
#[derive(Debug, Default)]
pub(super) struct Trace {
    roles: Vec<RoleTrace>,
    credentials: Vec<CredentialTrace>,
    near_misses: Vec<String>,
}

impl Trace {
    pub(super) fn row(&mut self, issuer: &Issuer, role: &Role, at: usize, row: &Row, matches: bool, claims: &Claims) {
        let issuer_matches = row.issuer == issuer.name;
        let shown = |claim: &str| claims.get(claim).map(show);
        let conditions = row.conditions.iter().map(|condition| {
            let holds = issuer_matches && condition.holds(claims);
            ConditionTrace {
                claim: condition.claim.clone(),
                expected: condition.pattern.to_string(),
                actual: shown(&condition.claim),
                holds,
                near_miss: if holds || !issuer_matches {
                    None
                } else {
                    near::in_row(issuer, row, condition, claims).or_else(|| near::miss(condition, claims))
                },
            }
        });
        let vetoes = issuer.kind.vetoes().iter().filter(|_| issuer_matches).map(|veto| VetoTrace {
            name: veto.name,
            code: veto.code.as_str(),
            claim: veto.claim,
            actual: shown(veto.claim),
            strikes: veto.strikes(claims),
            waived: row.waive.get(veto.name).cloned(),
            reason: veto.reason,
        });
        if !issuer_matches && !row.conditions.is_empty() && row.conditions.iter().all(|condition| condition.holds(claims)) {
            let miss = "every condition holds, but the row speaks of the issuer";
            self.near_misses.push(format!("{} row {}: {miss} {}", role.name, at + 1, row.issuer));
        }
        let row = RowTrace {
            row: at,
            file: row.place.file.clone(),
            line: row.place.line,
            issuer: row.issuer.clone(),
            issuer_matches,
            matches,
            conditions: conditions.collect(),
            vetoes: vetoes.collect(),
        };
        match self.roles.last_mut().filter(|last| last.role == role.name) {
            Some(last) => last.rows.push(row),
            None => self.roles.push(RoleTrace { role: role.name.clone(), rows: vec![row] }),
        }
    }

    pub(super) fn credential(&mut self, credential: &Credential, limits: Vec<Limit>, refusal: Option<&Refusal>) {
        let least = limits.iter().min_by_key(|limit| limit.seconds).copied();
        self.credentials.push(CredentialTrace {
            name: credential.name.clone(),
            engine: credential.engine.name(),
            limits,
            limited_by: least.map(|limit| limit.by),
            ttl_seconds: least.map(|limit| limit.seconds),
            problem: refusal.map(|refusal| refusal.hints.join("; ")),
        });
    }

    fn finish(self, set: &PolicySet, ask: &Ask<'_>, outcome: Result<Allowed, Refusal>) -> Explanation {
        let mut near_misses = Vec::new();
        if let Some(role) = ask.role.filter(|role| set.role(role).is_none()) {
            let near = super::problem::nearest(role, set.roles().iter().map(|role| role.name.as_str()));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            near_misses.push(format!("there is no role `{}`{near}", role.escape_debug()));
        }
        near_misses.extend(set.issuer(ask.issuer).into_iter().flat_map(|issuer| near::token(issuer, ask.claims)));
        near_misses.extend(self.near_misses);
        let rows = self.roles.iter().flat_map(|role| role.rows.iter().map(move |row| (role, row)));
        for (role, row) in rows.filter(|(_, row)| !row.matches) {
            for (condition, miss) in
                row.conditions.iter().filter_map(|condition| Some((condition, condition.near_miss.as_ref()?)))
            {
                near_misses.push(format!("{} row {}, {}: {miss}", role.role, row.row + 1, condition.claim));
            }
        }
        let (code, summary, hints, role) = match outcome {
            Ok(allowed) if allowed.shadow => {
                let summary = format!("{} is only rehearsed (shadow): row {} would allow it.", allowed.role, allowed.row + 1);
                (Some(Code::RoleNotAllowed.as_str()), summary, vec![SHADOW.to_owned()], Some(allowed.role))
            }
            Ok(allowed) => {
                let ttl = allowed.credentials.iter().map(|planned| planned.ttl).min();
                let ttl = ttl.map_or_else(String::new, |ttl: Duration| format!(", for {}", super::duration::print(ttl)));
                let summary = format!("The token may become {} by row {}{ttl}.", allowed.role, allowed.row + 1);
                (None, summary, Vec::new(), Some(allowed.role))
            }
            Err(refusal) => (Some(refusal.code.as_str()), refusal.code.sentence().to_owned(), refusal.hints, None),
        };
        Explanation {
            outcome: if code.is_none() { "allow" } else { "deny" },
            code,
            summary,
            hints,
            issuer: ask.issuer.to_owned(),
            asked: ask.role.map(str::to_owned),
            role,
            roles: self.roles,
            credentials: self.credentials,
            near_misses,
            notes: Vec::new(),
        }
    }
}

fn show(value: &Json) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.type_name().to_owned())
}

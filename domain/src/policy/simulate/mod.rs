//! What a set would have done to the jobs of the last days: their recorded decisions, decided once more.
//!
//! Decisions come one by one, so that a month of them needs no more room than the groups that they fall into.

mod replay;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;

use super::explain::explain_wanted;
use super::set::PolicySet;
use crate::issuers::issuer::JobView;
use crate::refusal::Code;
use crate::wire::Decision;

pub use replay::{Now, Then, is_of_the_set, now, then};

/// What the set would change.
#[derive(Debug, Default, Serialize)]
pub struct Simulation {
    /// Decisions that were decided once more.
    pub replayed: u64,
    /// Of these, such that come out the same.
    pub unchanged: u64,
    /// Decisions in which the policy was not asked: rates, used tokens, stops.
    pub not_asked: u64,
    /// The most frequent first, as are the others.
    pub newly_denied: Vec<Group>,
    pub newly_allowed: Vec<Group>,
    /// Asks that named no role and would be given another one.
    pub other_role: Vec<Group>,
    /// Whose outcome depends on claims that were erased or withheld.
    pub unsure: Vec<Group>,
}

impl Simulation {
    /// Whether every decision is known to come out as it did.
    pub fn is_unchanged(&self) -> bool {
        [&self.newly_denied, &self.newly_allowed, &self.other_role, &self.unsure].iter().all(|groups| groups.is_empty())
    }
}

/// Jobs alike: one workflow of one project at one ref, asking for one role.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    #[serde(flatten)]
    pub jobs: Jobs,
    /// What the policy said: `allow`, or a refusal code.
    pub then: String,
    /// What it would say: `allow`, a refusal code, or nothing where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// The role that would be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_role: Option<String>,
    /// Which row, or which condition.
    pub why: String,
    pub count: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub first: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last: OffsetDateTime,
    /// Where to look at the last of the runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// The last of the decisions.
    pub decision_id: String,
}

/// What the jobs of a group have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Jobs {
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The role that was given, or else the one that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Takes decisions in, one by one.
#[derive(Debug)]
pub struct Replay<'s> {
    set: &'s PolicySet,
    result: Simulation,
    groups: BTreeMap<(Change, Jobs, String, Option<String>), Group>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Denied,
    Allowed,
    OtherRole,
    Unsure,
}

impl<'s> Replay<'s> {
    pub fn new(set: &'s PolicySet) -> Self {
        Self { set, result: Simulation::default(), groups: BTreeMap::new() }
    }

    /// Decides `past` once more under the set.
    pub fn take(&mut self, past: &Decision) {
        let then = then(past);
        if then == Then::NotAsked {
            self.result.not_asked += 1;
            return;
        }
        self.result.replayed += 1;
        let now = now(self.set, past);
        let change = match (&then, &now) {
            (_, Now::Unsure(_)) => Change::Unsure,
            (Then::Allowed(_), Now::Denied(_)) => Change::Denied,
            (Then::Denied(_), Now::Allowed { .. }) => Change::Allowed,
            (Then::Allowed(before), Now::Allowed { role, .. }) if before != role => Change::OtherRole,
            _ => {
                self.result.unchanged += 1;
                return;
            }
        };
        self.note(change, past, &then, &now);
    }

    /// What has come of all of them.
    pub fn finish(mut self) -> Simulation {
        for ((change, ..), group) in self.groups {
            let groups = match change {
                Change::Denied => &mut self.result.newly_denied,
                Change::Allowed => &mut self.result.newly_allowed,
                Change::OtherRole => &mut self.result.other_role,
                Change::Unsure => &mut self.result.unsure,
            };
            groups.push(group);
        }
        let result = &mut self.result;
        for groups in [&mut result.newly_denied, &mut result.newly_allowed, &mut result.other_role, &mut result.unsure] {
            // What was equal stays in the order of its names.
            groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        }
        self.result
    }

    fn note(&mut self, change: Change, past: &Decision, then: &Then, now: &Now) {
        let (then, jobs) = (said(then), jobs(self.set, past));
        let now_said = match now {
            Now::Allowed { .. } => Some("allow".to_owned()),
            Now::Denied(code) => Some(code.as_str().to_owned()),
            Now::Unsure(_) => None,
        };
        let set = self.set;
        let key = (change, jobs, then, now_said);
        let group = self.groups.entry(key).or_insert_with_key(|(_, jobs, then, now_said)| Group {
            jobs: jobs.clone(),
            then: then.clone(),
            now: now_said.clone(),
            new_role: if let Now::Allowed { role, .. } = now { Some(role.clone()) } else { None },
            why: why(set, past, now),
            count: 0,
            first: past.at,
            last: past.at,
            run_url: past.run_url.clone(),
            decision_id: past.decision_id.clone(),
        });
        group.count += 1;
        group.first = group.first.min(past.at);
        if past.at > group.last {
            group.last = past.at;
            group.run_url.clone_from(&past.run_url);
            group.decision_id.clone_from(&past.decision_id);
        }
    }
}

fn said(then: &Then) -> String {
    match then {
        Then::Allowed(_) => "allow".to_owned(),
        Then::Denied(code) => code.as_str().to_owned(),
        Then::NotAsked => String::new(),
    }
}

fn jobs(set: &PolicySet, past: &Decision) -> Jobs {
    let job = match replay::issuer(set, past) {
        Some(issuer) => issuer.kind.job(&issuer.url, &past.claims),
        None => JobView { git_ref: replay::git_ref(&past.claims), ..JobView::default() },
    };
    Jobs {
        issuer: past.issuer.clone(),
        project: past.project.clone().or(job.project),
        project_name: past.project_name.clone().or(job.project_name),
        git_ref: job.git_ref,
        environment: job.environment,
        trigger: job.trigger,
        workflow: job.workflow,
        role: past.role.clone(),
    }
}

/// What of the set makes the difference, for its owners.
fn why(set: &PolicySet, past: &Decision, now: &Now) -> String {
    match now {
        Now::Allowed { role, row } => {
            let place = set.role(role).and_then(|role| role.rows.get(*row)).map(|row| &row.place);
            let place = place.map_or_else(String::new, |place| format!(" ({}:{})", place.file, place.line));
            format!("row {} of {role}{place} allows it", row + 1)
        }
        Now::Unsure(claims) => {
            let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
            format!("it depends on {}, which the record does not tell in clear", claims.join(", "))
        }
        Now::Denied(code) => denied(set, past, *code),
    }
}

fn denied(set: &PolicySet, past: &Decision, code: Code) -> String {
    let issuer = replay::issuer(set, past);
    let Some(issuer) = issuer.filter(|_| !matches!(code, Code::AudienceMismatch | Code::ClaimsIncomplete)) else {
        return match (code, issuer) {
            (Code::AudienceMismatch, Some(issuer)) => format!("{} takes tokens for {} only", issuer.name, issuer.audience),
            (Code::ClaimsIncomplete, Some(issuer)) => format!("the token lacks a claim that {} requires", issuer.name),
            _ => format!("the set has no issuer with the URL of {}", past.issuer),
        };
    };
    if let Some(role) = past.role.as_deref().filter(|role| !past.asked.any_role && set.role(role).is_none()) {
        return format!("the set has no role {role}");
    }
    let told = explain_wanted(set, &replay::ask(issuer, past), replay::wanted(past));
    let rows = || told.roles.iter().flat_map(|role| role.rows.iter().map(move |row| (role, row)));
    // Where a row takes the token, it is refused for something else.
    if rows().any(|(_, row)| row.matches) {
        return [vec![told.summary], told.hints].concat().join(" ");
    }
    let nearest = rows()
        .filter(|(_, row)| row.issuer_matches && !row.matches)
        .filter(|(role, _)| past.role.as_ref().is_none_or(|named| *named == role.role))
        .map(|(_, row)| {
            let conditions = row.conditions.iter().filter(|condition| !condition.holds).map(|condition| {
                let actual = condition.actual.as_deref().unwrap_or("missing");
                format!("{} is {actual} and should be {}", condition.claim, condition.expected)
            });
            let vetoes = row.vetoes.iter().filter(|veto| veto.strikes && veto.waived.is_none());
            let faults: BTreeSet<String> = conditions.chain(vetoes.map(|veto| format!("{} strikes", veto.name))).collect();
            (faults, format!("{}:{}", row.file, row.line))
        })
        .min_by_key(|(faults, _)| faults.len());
    match nearest {
        Some((faults, place)) => format!("{place}: {}", faults.into_iter().collect::<Vec<_>>().join("; ")),
        None => told.summary,
    }
}

#[cfg(test)]
pub(super) mod tests;

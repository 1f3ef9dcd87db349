//! Which rows and conditions no case exercises.
//!
//! A row is exercised when a case that passes is let in by it. A condition is exercised when a case that passes is kept out
//! by it alone: every other condition of the row holds and no veto strikes, so that without it the case would come out otherwise.
//! What a veto asks for anyway keeps no token out alone, and needs no case.

use serde::Serialize;

use super::check::CaseOutcome;
use super::pattern::Condition;
use super::problem::Place;
use super::set::{Case, Expect, PolicySet, Role, Row};
use crate::claims::{Claims, Json};
use crate::issuers::issuer::Veto;
use crate::issuers::rule::Is;

/// What the cases exercise.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    /// In the order of roles and rows.
    pub rows: Vec<RowCoverage>,
}

/// What the cases exercise of one row.
#[derive(Clone, Debug, Serialize)]
pub struct RowCoverage {
    pub role: String,
    /// Counted from zero, as in records.
    pub row: usize,
    pub place: Place,
    /// How many cases it lets in.
    pub allowed_by: usize,
    pub conditions: usize,
    /// The claims whose conditions keep no case out alone.
    pub unexercised: Vec<String>,
}

impl RowCoverage {
    pub const fn is_whole(&self) -> bool {
        self.allowed_by > 0 && self.unexercised.is_empty()
    }
}

/// How the set's cases, which came out so, cover its rows.
pub fn coverage(set: &PolicySet, outcomes: &[CaseOutcome]) -> Coverage {
    let passed = |case: &&Case| outcomes.iter().any(|outcome| outcome.place == case.place && outcome.passed);
    let tokens: Vec<(&Case, Claims)> =
        set.cases().iter().filter(passed).filter_map(|case| Some((case, case.token(set.issuer(&case.issuer)?)))).collect();
    let of_role = |role: &Role| {
        let asked = |case: &Case| case.role.as_ref().is_none_or(|name| *name == role.name);
        tokens.iter().filter(|(case, _)| asked(case)).collect::<Vec<_>>()
    };
    let rows = set.roles().iter().flat_map(|role| {
        let cases = of_role(role);
        role.rows.iter().enumerate().map(|(at, row)| covered(set, role, at, row, &cases)).collect::<Vec<_>>()
    });
    Coverage { rows: rows.collect() }
}

fn covered(set: &PolicySet, role: &Role, at: usize, row: &Row, cases: &[&(&Case, Claims)]) -> RowCoverage {
    let mut allowed_by = 0;
    let vetoes = set.issuer(&row.issuer).map_or(&[][..], |issuer| issuer.kind.vetoes());
    let vetoes: Vec<&Veto> = vetoes.iter().filter(|veto| !row.waive.contains_key(veto.name)).collect();
    let open = row.conditions.iter().filter(|condition| !vetoes.iter().any(|veto| asks_for(veto, condition)));
    let mut unexercised: Vec<&str> = open.map(|condition| condition.claim.as_str()).collect();
    for (case, token) in cases.iter().filter(|(case, _)| case.issuer == row.issuer) {
        if vetoes.iter().any(|veto| veto.strikes(token)) {
            continue;
        }
        let mut failing = row.conditions.iter().filter(|condition| !condition.holds(token));
        match (failing.next(), failing.next()) {
            (None, _) if case.expect == Expect::Allow => allowed_by += 1,
            (Some(alone), None) if case.expect != Expect::Allow => unexercised.retain(|claim| *claim != alone.claim),
            _ => {}
        }
    }
    RowCoverage {
        role: role.name.clone(),
        row: at,
        place: row.place.clone(),
        allowed_by,
        conditions: row.conditions.len(),
        unexercised: unexercised.into_iter().map(str::to_owned).collect(),
    }
}

/// Whether the condition holds for every token that passes the veto.
fn asks_for(veto: &Veto, condition: &Condition) -> bool {
    let holds = |value: Json| condition.holds(&Claims::default().with(&condition.claim, value));
    let told = |is: Is| match is {
        Is::OneOf(words) => words.iter().all(|word| holds(Json::from(*word))),
        Is::Flag(flag) => holds(Json::Bool(flag)),
        _ => false,
    };
    veto.passes.iter().all(|tests| tests.iter().any(|test| test.claim == condition.claim && told(test.is)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{loaded, with_row};

    fn unexercised(more: &str) -> Vec<String> {
        let set = loaded(with_row(&format!("repository_id = \"637712\"\nref = \"refs/heads/main\"\n{more}")));
        coverage(&set, &[]).rows.remove(0).unexercised
    }

    #[test]
    fn what_a_veto_asks_for_anyway_needs_no_case_until_it_is_waived() {
        let hosted = "runner_environment = \"github-hosted\"\n";
        assert_eq!(unexercised(hosted), ["ref", "repository_id"]);
        let waived = format!("{hosted}waive = {{ self-hosted-runner = \"why\" }}");
        assert_eq!(unexercised(&waived), ["ref", "repository_id", "runner_environment"]);
        // Of several events the veto says something else than the condition.
        assert_eq!(unexercised("event_name = \"push\""), ["event_name", "ref", "repository_id"]);
    }
}

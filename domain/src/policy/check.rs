//! Is the set sound? Everything that can be told offline, for the command line and for the broker before it activates one.

use serde::Serialize;

use super::decide::{Ask, decide};
use super::explain::{Explanation, explain};
use super::problem::{Place, Problem, SourceFile};
use super::set::{Case, Expect, PolicySet};
use crate::claims::{Claims, Json};

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseOutcome {
    pub name: String,
    pub place: Place,
    pub passed: bool,
    /// `allow`, `deny`, or `deny` with a code.
    pub expected: String,
    pub got: String,
    /// Why it came out so, when that was not expected.
    pub explanation: Option<Explanation>,
}

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Why the set cannot be loaded.
    pub problems: Vec<Problem>,
    pub cases: Vec<CaseOutcome>,
    /// Invariants are read and typed here. To prove them is another verb's work; until it has run they bind nobody.
    pub invariants_unproven: usize,
    /// The loaded set, when it has no problems.
    #[serde(skip)]
    pub set: Option<PolicySet>,
}

impl Report {
    /// Whether the set may become active.
    pub fn is_clean(&self) -> bool {
        self.set.is_some() && self.cases.iter().all(|case| case.passed)
    }

    /// Everything that stands against the set, failed cases included, with its place.
    pub fn findings(&self) -> Vec<Problem> {
        let failed = self.cases.iter().filter(|case| !case.passed).map(|case| {
            let message = format!("the case `{}` expects {} and gets {}", case.name, case.expected, case.got);
            Problem::at(&case.place, "case-failed", message)
        });
        self.problems.iter().cloned().chain(failed).collect()
    }
}

/// Loads the files and runs the cases.
pub fn check(files: Vec<SourceFile>) -> Report {
    match PolicySet::load(files) {
        Ok(set) => {
            let cases = run_cases(&set);
            Report { problems: Vec::new(), cases, invariants_unproven: set.invariants().len(), set: Some(set) }
        }
        Err(problems) => Report { problems, cases: Vec::new(), invariants_unproven: 0, set: None },
    }
}

/// Decides every case of the set.
pub fn run_cases(set: &PolicySet) -> Vec<CaseOutcome> {
    set.cases().iter().map(|case| run(set, case)).collect()
}

fn run(set: &PolicySet, case: &Case) -> CaseOutcome {
    let claims = set.issuer(&case.issuer).map_or_else(Claims::default, |issuer| case.token(issuer));
    let ask = Ask {
        issuer: &case.issuer,
        claims: &claims,
        role: case.role.as_deref(),
        credentials: &case.credentials,
        ttl: case.ttl,
        // A case is decided the moment its token was made.
        now: claims.get("iat").and_then(Json::as_int).unwrap_or(0),
    };
    let code = decide(set, &ask).err().map(|refusal| refusal.code);
    let passed = match (case.expect, code) {
        (Expect::Allow, None) | (Expect::Deny(None), Some(_)) => true,
        (Expect::Deny(Some(wanted)), Some(code)) => wanted == code,
        (Expect::Allow, Some(_)) | (Expect::Deny(_), None) => false,
    };
    let expected = match case.expect {
        Expect::Allow => "allow".to_owned(),
        Expect::Deny(None) => "deny".to_owned(),
        Expect::Deny(Some(code)) => format!("deny with {code}"),
    };
    CaseOutcome {
        name: case.name.clone(),
        place: case.place.clone(),
        passed,
        expected,
        got: code.map_or_else(|| "allow".to_owned(), |code| format!("deny with {code}")),
        explanation: (!passed).then(|| explain(set, &ask)),
    }
}

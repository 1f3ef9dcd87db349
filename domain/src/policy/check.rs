//! Is the set sound? Everything that can be told offline, for the command line and for the broker before it activates one.

use serde::Serialize;

use super::decide::{Ask, decide};
use super::explain::{Explanation, explain};
use super::finding::Finding;
use super::lint;
use super::problem::{Place, Problem, SourceFile};
use super::prove::{Proof, prove};
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
    pub lints: Vec<Finding>,
    pub cases: Vec<CaseOutcome>,
    /// Every invariant, decided over all tokens.
    pub proofs: Vec<Proof>,
    /// The loaded set, when it has no problems.
    #[serde(skip)]
    pub set: Option<PolicySet>,
}

impl Report {
    /// Whether the set may become active; a strict check minds warnings too.
    pub fn is_sound(&self, strict: bool) -> bool {
        self.set.is_some() && !self.findings().iter().any(|finding| finding.refuses(strict))
    }

    /// Everything that there is to say about the set, what it accepts included, in the order of files and lines.
    pub fn findings(&self) -> Vec<Finding> {
        let problems = self.problems.iter().cloned().map(Finding::from);
        let failed = self.cases.iter().filter(|case| !case.passed).map(|case| Finding::from(case.problem()));
        let broken = self.proofs.iter().filter_map(Proof::problem).map(Finding::from);
        let mut findings: Vec<Finding> = problems.chain(failed).chain(broken).chain(self.lints.iter().cloned()).collect();
        findings.sort_by(|a, b| (&a.place, a.severity, a.rule).cmp(&(&b.place, b.severity, b.rule)));
        findings
    }

    /// What keeps the set from becoming active.
    pub fn errors(&self) -> Vec<Problem> {
        self.findings().into_iter().filter(|finding| finding.refuses(false)).map(Problem::from).collect()
    }
}

impl CaseOutcome {
    fn problem(&self) -> Problem {
        let message = format!("the case `{}` expects {} and gets {}", self.name, self.expected, self.got);
        let problem = Problem::at(&self.place, "case-failed", message);
        let why = self.explanation.as_ref().map(|explanation| explanation.summary.clone());
        match why {
            Some(why) => problem.help(format!("{why} `daypass policy explain --case \"{}\"` shows every condition", self.name)),
            None => problem,
        }
    }
}

/// Loads the files, runs the lints and the cases, proves the invariants.
pub fn check(files: Vec<SourceFile>) -> Report {
    match PolicySet::load(files) {
        Ok(set) => {
            let (lints, cases) = (lint::run(&set), run_cases(&set));
            Report { problems: Vec::new(), lints, cases, proofs: prove(&set), set: Some(set) }
        }
        Err(problems) => Report { problems, lints: Vec::new(), cases: Vec::new(), proofs: Vec::new(), set: None },
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

//! All tokens of one issuer, as a proof sees them: the claims of its schema and what real tokens obey.
//!
//! A claim may be missing unless the verifier requires it, whatever the schema says of real tokens; a value has the schema's type,
//! since the verifier refuses a token in which it has another. The issuer's relations hold among the claims that are there.

use std::collections::HashMap;
use std::rc::Rc;

use super::domains::{Atom, Domains, Shape};
use super::facts::{atom, facts, heeded, negated};
use super::language::{Texts, TooLarge};
use super::solver::{Choice, Lit, Solver, State, Var};
use crate::claims::{Claims, Json};
use crate::issuers::issuer::{Kind, REGISTERED, Type, Veto};
use crate::issuers::rule::{Is, Test};
use crate::policy::pattern::{Condition, Value};
use crate::policy::set::{Issuer, Row};

/// The longest text that the verifier reads in a token, in `sub`, and in the claim that tells tokens apart.
const LONGEST: usize = 1024;
const LONGEST_SUB: usize = 512;
const LONGEST_ID: usize = 256;

/// Why nothing can be proven of an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The schema says two things of one place in the token.
    #[error("the schema of issuer `{issuer}` speaks of `{claim}` in two ways that do not fit together")]
    Schema { issuer: String, claim: String },
    /// There was more to search than anybody waits for.
    #[error("too many roles take the same tokens to tell them all")]
    TooMany,
    /// Never seen: an answer that its own check refutes.
    #[error("the proof went wrong: its own counterexample is none ({0})")]
    Refuted(String),
}

/// One claim.
#[derive(Debug)]
pub(super) struct Variable {
    /// The name, or a JSON pointer.
    pub(super) name: String,
    shape: Shape,
    /// The verifier refuses a token without it.
    required: bool,
}

/// The tokens of one issuer.
#[derive(Debug)]
pub(super) struct Tokens<'s> {
    pub(super) issuer: &'s Issuer,
    /// Tells of claims that this issuer's own kind does not know.
    other: Option<&'s dyn Kind>,
    pub(super) sample: Claims,
    pub(super) variables: Vec<Variable>,
    index: HashMap<String, Var>,
    /// By claim: texts that a counterexample should rather have.
    pub(super) first: Vec<Vec<String>>,
    /// Every token.
    pub(super) all: State,
}

impl<'s> Tokens<'s> {
    /// The tokens of `issuer`, as far as conditions on the claims `named` and the issuer's own rules tell them apart. A claim
    /// that the issuer's kind does not know may be in a token all the same; `other` may know its type.
    pub(super) fn new<'n>(
        issuer: &'s Issuer,
        other: Option<&'s dyn Kind>,
        named: impl IntoIterator<Item = &'n Condition>,
        domains: &mut Domains,
    ) -> Result<Self, Unclear> {
        let kind = &issuer.kind;
        let mut tokens = Self {
            issuer,
            other,
            sample: sample(issuer),
            variables: Vec::new(),
            index: HashMap::new(),
            first: Vec::new(),
            all: State::default(),
        };
        let required = kind.required().iter().map(ToString::to_string);
        let tests = kind.relations().iter().flat_map(|relation| relation.when.iter().chain(relation.then));
        let tests = tests.chain(kind.vetoes().iter().flat_map(|veto| veto.passes.iter().copied().flatten()));
        let ruled = tests.flat_map(|test| {
            let other = if let Is::SameAs(other) = test.is { Some(other) } else { None };
            [Some(test.claim), other].into_iter().flatten().map(str::to_owned)
        });
        let carried = required.chain(std::iter::once("sub".to_owned())).chain(kind.replay_claim().map(str::to_owned));
        let settled = |name: &String| kind.claim(name).is_none() && tokens.sample.get(name).is_some();
        let names: Vec<String> = carried.filter(|name| !settled(name)).chain(ruled).collect();
        for condition in named {
            let var = tokens.variable(&condition.claim)?;
            for value in condition.pattern.values().into_iter().flatten() {
                if let (Value::Text(text), Some(first)) = (value, tokens.first.get_mut(var)) {
                    first.push(text.clone());
                }
            }
        }
        for name in names {
            tokens.variable(&name)?;
        }
        let choices = tokens.nesting(domains)?;
        tokens.lay(domains, choices)?;
        Ok(tokens)
    }

    /// The claim at a name or pointer; two spellings of one place are one claim.
    fn variable(&mut self, name: &str) -> Result<Var, Unclear> {
        let place = steps(name).join("\u{0}");
        let kind = &self.issuer.kind;
        let registered = REGISTERED.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty);
        let other = self.other.and_then(|other| other.claim(name)).map(|claim| claim.ty);
        let known = kind.claim(name).map(|claim| claim.ty);
        let mut ty = known.or(other).or(registered).unwrap_or(Type::String);
        let mut required = kind.required().iter().any(|required| **required == *name);
        let mut longest = LONGEST;
        for (special, bytes) in [(Some("sub"), LONGEST_SUB), (kind.replay_claim(), LONGEST_ID)] {
            if special.is_some_and(|special| steps(special).join("\u{0}") == place) {
                (required, longest) = (true, bytes);
                ty = known.unwrap_or(Type::String);
            }
        }
        if let Some(var) = self.index.get(&place) {
            let two_ways = self.two_ways(name);
            let known = self.variables.get_mut(*var).filter(|known| known.shape.ty == ty).ok_or(two_ways)?;
            known.required |= required;
            return Ok(*var);
        }
        let var = self.variables.len();
        self.index.insert(place, var);
        self.variables.push(Variable { name: name.to_owned(), shape: Shape { ty, longest }, required });
        self.first.push(self.sample.text(name).map(preferred).unwrap_or_default());
        // What stands around a nested claim belongs to the token too, where the schema speaks of it.
        let above: Vec<String> = (1..steps(name).len()).map(|depth| pointer(&steps(name), depth)).collect();
        for name in above.iter().filter(|name| kind.claim(name).is_some()) {
            self.variable(name)?;
        }
        Ok(var)
    }

    fn two_ways(&self, claim: &str) -> Unclear {
        Unclear::Schema { issuer: self.issuer.name.clone(), claim: claim.to_owned() }
    }

    /// A nested claim is there only where the object around it is.
    fn nesting(&self, domains: &mut Domains) -> Result<Vec<Choice>, Unclear> {
        let present = domains.atom(Atom::Present);
        let mut choices = Vec::new();
        for (at, inner) in self.variables.iter().enumerate() {
            let path = steps(&inner.name);
            let above = (1..path.len()).filter_map(|depth| self.index.get(&path.get(..depth)?.join("\u{0}")).copied());
            for outer in above {
                let absent = Lit::Is { var: at, atom: present, holds: false };
                match self.variables.get(outer).map(|outer| outer.shape.ty) {
                    Some(Type::Object) => {
                        let there = Lit::Is { var: outer, atom: present, holds: true };
                        choices.push(Rc::new(vec![vec![absent], vec![there]]));
                    }
                    // An index into a list of texts would be a claim of its own in the list's place.
                    Some(Type::Strings) => return Err(self.two_ways(&inner.name)),
                    _ => choices.push(Rc::new(vec![vec![absent]])),
                }
            }
        }
        Ok(choices)
    }

    /// Every token of the issuer.
    fn lay(&mut self, domains: &mut Domains, mut choices: Vec<Choice>) -> Result<(), Unclear> {
        let (present, full) = (domains.atom(Atom::Present), domains.atom(Atom::Text(Texts::Full)));
        for variable in &self.variables {
            let mut facts = Vec::new();
            if variable.required {
                facts.push((present, true));
            }
            // The verifier refuses a token whose subject or id is empty.
            if variable.shape.longest < LONGEST {
                facts.push((full, true));
            }
            self.all.domains.push(domains.domain(variable.shape, facts)?);
        }
        for relation in self.issuer.kind.relations() {
            let fails: Vec<Vec<Lit>> = relation.when.iter().flat_map(|test| self.fails(test, domains)).collect();
            for test in relation.then {
                let ways = fails.iter().cloned().chain(self.heeds(test, domains)).collect();
                choices.push(self.choice(ways, domains));
            }
        }
        let mut all = std::mem::take(&mut self.all);
        let mut solver = Solver::new(domains, &self.first);
        let mut possible = solver.choose(&mut all, &choices)?;
        for domain in &all.domains {
            possible &= !solver.domains.is_empty(*domain)?;
        }
        all.impossible = !possible;
        self.all = all;
        Ok(())
    }

    /// A choice in which the ways that the sample takes come first, so that a counterexample stays near to it.
    pub(super) fn choice(&self, mut ways: Vec<Vec<Lit>>, domains: &Domains) -> Choice {
        ways.sort_by_key(|way| !way.iter().all(|fact| self.in_sample(*fact, domains)));
        Rc::new(ways)
    }

    fn in_sample(&self, fact: Lit, domains: &Domains) -> bool {
        let value = |var: Var| self.sample.get(&self.variables.get(var)?.name);
        match fact {
            Lit::Is { var, atom, holds } => domains.is_true((atom, holds), value(var)),
            Lit::Same(a, b) => value(a).and_then(Json::as_str).is_some_and(|text| value(b).and_then(Json::as_str) == Some(text)),
            Lit::Differ(a, b) => value(a) != value(b),
        }
    }

    fn var(&self, name: &str) -> Var {
        self.index.get(&steps(name).join("\u{0}")).copied().unwrap_or(usize::MAX)
    }

    /// What a condition says.
    pub(super) fn condition(&self, condition: &Condition, domains: &mut Domains) -> Lit {
        let (atom, holds) = atom(condition);
        Lit::Is { var: self.var(&condition.claim), atom: domains.atom(atom), holds }
    }

    /// What a test says, all of it together.
    fn passes(&self, test: &Test, domains: &mut Domains) -> Vec<Lit> {
        let var = self.var(test.claim);
        if let Is::SameAs(other) = test.is {
            return vec![Lit::Same(var, self.var(other))];
        }
        facts(test.is).into_iter().map(|(atom, holds)| Lit::Is { var, atom: domains.atom(atom), holds }).collect()
    }

    /// The ways to pass a test or to lack a claim that it compares.
    fn heeds(&self, test: &Test, domains: &mut Domains) -> Vec<Vec<Lit>> {
        let var = self.var(test.claim);
        if let Is::SameAs(other) = test.is {
            let present = domains.atom(Atom::Present);
            let lacks = |var| vec![Lit::Is { var, atom: present, holds: false }];
            return vec![vec![Lit::Same(var, self.var(other))], lacks(var), lacks(self.var(other))];
        }
        let facts = facts(test.is).into_iter().filter_map(heeded);
        vec![facts.map(|(atom, holds)| Lit::Is { var, atom: domains.atom(atom), holds }).collect()]
    }

    /// The ways in which a test can fail.
    fn fails(&self, test: &Test, domains: &mut Domains) -> Vec<Vec<Lit>> {
        let any = domains.atom(Atom::Text(Texts::Any));
        let passes = self.passes(test, domains);
        passes.into_iter().flat_map(|fact| negated(fact, any)).map(|fact| vec![fact]).collect()
    }

    /// That none of the vetoes strikes which the row does not waive.
    pub(super) fn spared(&self, row: &Row, domains: &mut Domains) -> Vec<Choice> {
        let vetoes = self.issuer.kind.vetoes().iter().filter(|veto| !row.waive.contains_key(veto.name));
        vetoes
            .map(|veto| {
                let ways = veto.passes.iter();
                let ways = ways.map(|tests| tests.iter().flat_map(|test| self.passes(test, domains)).collect()).collect();
                self.choice(ways, domains)
            })
            .collect()
    }

    /// The ways in which a row does not take a token: a condition fails, or a veto strikes.
    pub(super) fn refuses(&self, row: &Row, domains: &mut Domains) -> Choice {
        let any = domains.atom(Atom::Text(Texts::Any));
        let mut ways: Vec<Vec<Lit>> = Vec::new();
        for condition in &row.conditions {
            ways.extend(negated(self.condition(condition, domains), any).into_iter().map(|fact| vec![fact]));
        }
        for veto in self.issuer.kind.vetoes().iter().filter(|veto| !row.waive.contains_key(veto.name)) {
            ways.extend(self.strikes(veto, domains));
        }
        self.choice(ways, domains)
    }

    /// The ways in which a veto strikes: of each of its ways to pass, one test fails.
    fn strikes(&self, veto: &Veto, domains: &mut Domains) -> Vec<Vec<Lit>> {
        let mut ways: Vec<Vec<Lit>> = vec![Vec::new()];
        for tests in veto.passes {
            let fails: Vec<Vec<Lit>> = tests.iter().flat_map(|test| self.fails(test, domains)).collect();
            let with = |way: &Vec<Lit>| fails.iter().map(|fail| way.iter().chain(fail).copied().collect()).collect::<Vec<_>>();
            ways = ways.iter().flat_map(with).collect();
        }
        ways
    }
}

/// The sample token as this issuer would sign it.
pub(super) fn sample(issuer: &Issuer) -> Claims {
    issuer.kind.sample().with("iss", issuer.url.as_str()).with("aud", issuer.audience.as_str())
}

/// The sample's own text, and others of its form.
fn preferred(text: &str) -> Vec<String> {
    let mut texts = vec![text.to_owned()];
    if let Ok(number) = text.parse::<u64>() {
        texts.push(number.wrapping_add(1).to_string());
    } else if let Some((path, _)) = text.rsplit_once('/') {
        texts.push(format!("{path}/other"));
    }
    texts
}

/// The steps to a claim.
pub(super) fn steps(name: &str) -> Vec<String> {
    match name.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![name.to_owned()],
    }
}

/// The name of what stands around, that many steps down.
fn pointer(steps: &[String], depth: usize) -> String {
    match steps.get(..depth) {
        Some([one]) if !one.starts_with('/') => one.clone(),
        Some(steps) => {
            let steps = steps.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
            steps.fold(String::new(), |pointer, step| pointer + "/" + &step)
        }
        None => String::new(),
    }
}

//! Random pairs of policy sets with everything that is said of them, and what `prove` and `diff` answer: one JSON object a
//! line. `integration/oracle/smt.py` answers the same questions with another solver and compares.
//!
//! `cargo run -p daypass-domain --example oracle -- SETS [FIRST_SEED]`

#![expect(clippy::print_stdout, clippy::panic, clippy::indexing_slicing, reason = "a tool of tests")]

use std::collections::BTreeSet;

use domain::issuers::issuer::{Case, Type};
use domain::issuers::rule::{Is, Test};
use domain::policy::{Bound, Condition, Issuer, Now, Outcome, Pattern, PolicySet, Proof, Role, SourceFile, Value, diff, prove};
use serde_json::{Value as Json, json};

#[path = "../src/policy/prove/tests/random.rs"]
mod random;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |otherwise| arguments.next().and_then(Result::ok).unwrap_or(otherwise);
    let (sets, first) = (next(10), next(1));
    for seed in first..first.saturating_add(sets) {
        println!("{}", pair(seed));
    }
}

fn pair(seed: u64) -> Json {
    let (before, after) = random::pair(seed);
    let (old, new) = (load(&before), load(&after));
    let found = diff(&old, &new);
    assert!(found.undecided.is_empty(), "seed {seed}: {:?}", found.undecided);
    let moved: BTreeSet<(&str, &str, bool)> =
        found.moved.iter().map(|moved| (moved.role.as_str(), moved.issuer.as_str(), moved.now == Now::Allowed)).collect();
    let proofs = |set: &PolicySet| prove(set).iter().map(|proof| proven(seed, proof)).collect::<Vec<_>>();
    json!({
        "seed": seed, "old": set(&old), "new": set(&new),
        "old_proofs": proofs(&old), "new_proofs": proofs(&new), "moved": moved,
    })
}

fn load(text: &str) -> PolicySet {
    let file = SourceFile { path: "random.toml".to_owned(), text: text.to_owned() };
    PolicySet::load(vec![file]).unwrap_or_else(|problems| panic!("{}\n{text}", problems[0]))
}

/// For each invariant the roles that break it.
fn proven(seed: u64, proof: &Proof) -> Json {
    match &proof.outcome {
        Outcome::Holds { .. } => json!({ "name": proof.invariant, "broken_by": [] }),
        Outcome::Broken { counterexamples, also } => {
            let shown = counterexamples.iter().map(|counterexample| &counterexample.role);
            json!({ "name": proof.invariant, "broken_by": shown.chain(also).collect::<Vec<_>>() })
        }
        Outcome::Undecided { reason } => panic!("seed {seed}: {reason}"),
    }
}

fn set(set: &PolicySet) -> Json {
    let invariants = set.invariants().iter().map(|invariant| {
        json!({
            "name": invariant.name, "issuer": invariant.issuer, "never": invariant.bound == Bound::Never,
            "role": pattern(&invariant.role), "conditions": conditions(&invariant.conditions),
        })
    });
    json!({
        "issuers": set.issuers().iter().map(issuer).collect::<Vec<_>>(),
        "roles": set.roles().iter().map(role).collect::<Vec<_>>(),
        "invariants": invariants.collect::<Vec<_>>(),
    })
}

fn role(role: &Role) -> Json {
    let rows = role.rows.iter().map(|row| {
        let waived: Vec<&String> = row.waive.keys().collect();
        json!({ "issuer": row.issuer, "conditions": conditions(&row.conditions), "waive": waived })
    });
    json!({ "name": role.name, "shadow": role.shadow, "rows": rows.collect::<Vec<_>>() })
}

fn issuer(issuer: &Issuer) -> Json {
    let kind = &issuer.kind;
    let named = random::pool(&issuer.name).iter().map(|(name, ..)| *name);
    let names: BTreeSet<&str> = kind.claims().iter().map(|claim| &*claim.name).chain(named).collect();
    let claims = names.into_iter().filter_map(|name| {
        let claim = kind.claim(name)?;
        let ty = match claim.ty {
            Type::String => "string",
            Type::Integer => "integer",
            Type::Boolean => "boolean",
            Type::Strings => "strings",
            Type::Object => "object",
        };
        // What the verifier insists on; the schema's word that every token has a claim binds nobody.
        let required =
            name == "sub" || kind.replay_claim() == Some(name) || kind.required().iter().any(|required| required == name);
        Some(json!({ "name": name, "type": ty, "required": required, "fold": claim.case == Case::FoldAscii }))
    });
    let tests = |tests: &[Test]| tests.iter().map(test).collect::<Vec<_>>();
    let relations = kind.relations().iter().map(|relation| json!({ "when": tests(relation.when), "then": tests(relation.then) }));
    let vetoes = kind
        .vetoes()
        .iter()
        .map(|veto| json!({ "name": veto.name, "passes": veto.passes.iter().map(|way| tests(way)).collect::<Vec<_>>() }));
    json!({
        "name": issuer.name, "claims": claims.collect::<Vec<_>>(),
        "relations": relations.collect::<Vec<_>>(), "vetoes": vetoes.collect::<Vec<_>>(),
    })
}

fn test(test: &Test) -> Json {
    let (is, arguments): (&str, Vec<&str>) = match test.is {
        Is::OneOf(words) => ("one_of", words.to_vec()),
        Is::NoneOf(words) => ("none_of", words.to_vec()),
        Is::Begins(head) => ("begins", vec![head]),
        Is::BeginsNot(head) => ("begins_not", vec![head]),
        Is::Digits => ("digits", Vec::new()),
        Is::Present => ("present", Vec::new()),
        Is::Absent => ("absent", Vec::new()),
        Is::SameAs(other) => ("same_as", vec![other]),
        Is::Flag(wanted) => ("flag", vec![if wanted { "true" } else { "false" }]),
    };
    json!({ "claim": test.claim, "is": is, "arguments": arguments })
}

fn conditions(conditions: &[Condition]) -> Vec<Json> {
    conditions.iter().map(|condition| json!({ "claim": condition.claim, "pattern": pattern(&condition.pattern) })).collect()
}

fn pattern(pattern: &Pattern) -> Json {
    match pattern {
        Pattern::Present => json!({ "is": "present" }),
        Pattern::Absent => json!({ "is": "absent" }),
        Pattern::Glob(glob) => json!({ "is": "glob", "glob": glob.as_str() }),
        Pattern::OneOf(values) => {
            let value = |value: &Value| match value {
                Value::Text(text) => json!(text),
                Value::Int(number) => json!(number),
                Value::Bool(value) => json!(value),
            };
            json!({ "is": "one_of", "values": values.iter().map(value).collect::<Vec<_>>() })
        }
    }
}

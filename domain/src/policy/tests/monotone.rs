//! Taking a claim away never opens a door, and whatever is decided is explained alike.

use proptest::prelude::*;

use super::*;
use crate::claims::Json;

/// Claims with the values that rows and tokens are made of; a small pool, so that they often meet.
const POOL: &[(&str, &[&str])] = &[
    ("repository_id", &["637712", "1"]),
    ("ref", &["refs/heads/main", "refs/heads/x/y", "refs/pull/1/merge", ""]),
    ("event_name", &["push", "pull_request", "pull_request_target", "issue_comment", "workflow_run"]),
    ("environment", &["production", "Production", "staging"]),
    ("runner_environment", &["github-hosted", "self-hosted"]),
    ("repository", &["acme/shop", "Acme/Shop"]),
    ("repo_property_tier", &["gold"]),
];

fn toml(claim: &str, values: &[&str], how: usize) -> String {
    match how % 5 {
        0 | 1 => format!("{claim} = \"{}\"\n", values[how % values.len()]),
        2 => format!("{claim} = [{}]\n", values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ")),
        3 => format!("{claim} = {{ present = true }}\n"),
        _ => format!("{claim} = {{ glob = \"{}*\" }}\n", values[0].get(..3).unwrap_or("x")),
    }
}

prop_compose! {
    fn row()(conditions in prop::collection::btree_map(0..POOL.len(), 0_usize..20, 0..4), waive in 0_usize..8) -> String {
        let conditions: String = conditions.into_iter().map(|(at, how)| toml(POOL[at].0, POOL[at].1, how)).collect();
        let mut waived = vec!["no-project-pin = \"test\"", "no-code-gate = \"test\""];
        let vetoes = ["pull-request = \"test\"", "self-hosted-runner = \"test\"", "outsider-event = \"test\""];
        waived.extend(vetoes.iter().enumerate().filter(|(at, _)| waive >> at & 1 == 1).map(|(_, veto)| *veto));
        format!("[[role.r.allow]]\nissuer = \"github\"\n{conditions}waive = {{ {} }}\n", waived.join(", "))
    }
}

prop_compose! {
    fn claims()(values in prop::collection::vec((0..POOL.len(), 0_usize..8), 0..7)) -> Claims {
        values.into_iter().fold(crate::issuers::by_name("github").unwrap().sample(), |claims, (at, which)| {
            let (name, pool) = POOL[at];
            claims.with(name, pool[which % pool.len()])
        })
    }
}

fn set(rows: &[String]) -> PolicySet {
    loaded(one(&format!(
        "{ISSUERS}{}[role.r.credential.c]\nengine = \"kv\"\npath = \"a/{{repository_id}}\"\n[role.r.credential.d]\nengine = \"kv\"\npath = \"b\"\n",
        rows.concat()
    )))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn removing_a_claim_never_turns_deny_into_allow(rows in prop::collection::vec(row(), 1..3), claims in claims()) {
        let set = set(&rows);
        if both(&set, &ask("github", &claims, Some("r"))).is_err() {
            let names: Vec<String> = claims.object().iter().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                let fewer = claims.clone().without(&name);
                prop_assert!(both(&set, &ask("github", &fewer, Some("r"))).is_err(), "without {}", name);
                let mut none = claims.clone();
                none.put(&name, Json::Null);
                prop_assert!(both(&set, &ask("github", &none, Some("r"))).is_err(), "with null for {}", name);
            }
        }
    }

    #[test]
    fn decide_and_explain_agree(rows in prop::collection::vec(row(), 1..4), claims in claims(), named: bool, unknown: bool) {
        let set = set(&rows);
        let role = named.then_some(if unknown { "nobody" } else { "r" });
        let outcome = both(&set, &ask("github", &claims, role));
        let explained = explain(&set, &ask("github", &claims, role));
        let matching = explained.roles.iter().flat_map(|role| &role.rows).filter(|row| row.matches).map(|row| row.row).next();
        prop_assert_eq!(outcome.as_ref().ok().map(|allowed| allowed.row), matching);
        for row in explained.roles.iter().flat_map(|role| &role.rows) {
            let barred = row.vetoes.iter().any(|veto| veto.strikes && veto.waived.is_none());
            let holds = row.conditions.iter().all(|condition| condition.holds);
            prop_assert_eq!(row.matches, holds && !barred, "the trace contradicts itself");
        }
    }
}

#[test]
fn every_kind_vetoes_when_the_claim_is_missing() {
    for kind in crate::issuers::built_in() {
        let sample = kind.sample();
        for veto in kind.vetoes() {
            assert!(!veto.strikes(&sample), "{} strikes the sample", veto.name);
            let mut without = sample.clone();
            assert!(without.take(veto.claim).is_some(), "{}: {}", kind.name(), veto.name);
            assert!(veto.strikes(&without), "{} spares a token without {}", veto.name, veto.claim);
            // Taking any other claim away never lets a token through that was struck.
            for claim in kind.claims() {
                let mut fewer = without.clone();
                fewer.take(&claim.name);
                assert!(veto.strikes(&fewer), "{} spares a token without {}", veto.name, claim.name);
            }
        }
    }
}

#[test]
fn a_gitlab_token_without_an_end_has_ended() {
    let set = loaded(starter());
    let claims = set.issuer("gitlab").unwrap().kind.sample();
    assert!(both(&set, &ask("gitlab", &claims, Some("shop-gitlab-deploy"))).is_ok());
    let endless = claims.without("exp");
    assert_eq!(both(&set, &ask("gitlab", &endless, Some("shop-gitlab-deploy"))).unwrap_err().code.as_str(), "ttl_below_minimum");
}

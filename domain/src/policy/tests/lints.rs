//! What lints claim about all tokens holds for each.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// For a claim, conditions and the values that tokens may have.
type Vocabulary = &'static [(&'static str, &'static [&'static str], &'static [&'static str])];

const GITHUB: Vocabulary = &[
    ("repository_id", &["\"637712\"", "[\"637712\", \"7\"]", "\"TODO\""], &["637712", "7", "8"]),
    (
        "ref",
        &[
            "\"refs/heads/main\"",
            "{ glob = \"refs/heads/*\" }",
            "{ glob = \"refs/pull/*/merge\" }",
            "[\"refs/heads/main\", \"refs/pull/7/merge\"]",
            "{ present = true }",
        ],
        &["refs/heads/main", "refs/heads/next", "refs/pull/7/merge", "refs/tags/v1"],
    ),
    (
        "event_name",
        &[
            "\"push\"",
            "[\"push\", \"pull_request\"]",
            "\"pull_request\"",
            "[\"pull_request_target\", \"workflow_run\"]",
            "{ glob = \"p*\" }",
        ],
        &["push", "pull_request", "pull_request_target", "workflow_run", "schedule", "issues"],
    ),
    (
        "environment",
        &["\"Production\"", "{ absent = true }", "{ glob = \"prod*\" }", "{ present = true }"],
        &["production", "PRODUCTION", "test", ""],
    ),
    ("environment_node_id", &["\"E_1\"", "{ absent = true }", "{ present = true }"], &["E_1", "E_2"]),
    ("ref_protected", &["\"true\"", "\"yes\"", "[\"false\", \"true\"]"], &["true", "false"]),
    (
        "runner_environment",
        &["\"github-hosted\"", "\"self-hosted\"", "{ glob = \"*-hosted\" }"],
        &["github-hosted", "self-hosted"],
    ),
];
const WAIVERS: &[&str] = &["pull-request", "pull-request-target", "self-hosted-runner", "no-project-pin", "no-code-gate"];

type Choice = (Vec<Option<usize>>, Vec<bool>);

prop_compose! {
    fn choice()(conditions in prop::collection::vec(prop::option::of(0_usize..5), GITHUB.len()), waivers in prop::collection::vec(any::<bool>(), WAIVERS.len())) -> Choice {
        (conditions, waivers)
    }
}

fn row(role: &str, (conditions, waivers): &Choice) -> String {
    let mut text = format!("[[role.{role}.allow]]\nissuer = \"github\"\n");
    for ((claim, patterns, _), chosen) in GITHUB.iter().zip(conditions) {
        if let Some(chosen) = chosen {
            writeln!(text, "{claim} = {}", patterns[chosen % patterns.len()]).unwrap();
        }
    }
    // Rows without pin or gate are as good as others here.
    let waived = WAIVERS.iter().zip(waivers).filter(|(name, chosen)| **chosen || name.starts_with("no-"));
    let waived: Vec<String> = waived.map(|(name, _)| format!("{name} = \"x\"")).collect();
    writeln!(text, "waive = {{ {} }}", waived.join(", ")).unwrap();
    text
}

fn token(set: &PolicySet, chosen: &[Option<usize>]) -> Claims {
    let mut claims = set.issuer("github").unwrap().kind.sample();
    for ((claim, _, values), chosen) in GITHUB.iter().zip(chosen) {
        claims = match chosen {
            Some(chosen) => claims.with(claim, values[chosen % values.len()]),
            None => claims.without(claim),
        };
    }
    claims
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_lints_say_of_all_tokens_holds_for_each(
        rows in prop::collection::vec(choice(), 1..4),
        tokens in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.9, 0_usize..6), GITHUB.len()), 24),
    ) {
        let credential = "[role.r.credential.c]\nengine = \"kv\"\npath = \"a/b\"\n";
        let text = |rows: &[Choice]| format!("{ISSUERS}{}{credential}", rows.iter().map(|choice| row("r", choice)).collect::<String>());
        let report = check(one(&text(&rows)));
        let Some(set) = &report.set else { panic!("{}", lines(&report.problems)) };
        let kind = &set.issuer("github").unwrap().kind;
        // Each row in a set of its own, so that one does not answer for another.
        let alone: Vec<PolicySet> = rows.iter().map(|choice| loaded(one(&text(std::slice::from_ref(choice))))).collect();
        let allows = |at: usize, claims: &Claims| decide(&alone[at], &ask("github", claims, Some("r"))).is_ok();
        let row_of = |finding: &Finding| set.roles()[0].rows.iter().rposition(|row| row.place.line <= finding.place.line).unwrap();
        for finding in report.findings() {
            let at = row_of(&finding);
            let waived = WAIVERS.iter().position(|name| finding.rule == "waiver-in-vain" && finding.message.contains(&format!("`{name}`")));
            let without = waived.filter(|waiver| !WAIVERS[*waiver].starts_with("no-")).map(|waiver| {
                let mut without = rows[at].clone();
                without.1[waiver] = false;
                loaded(one(&text(&[without])))
            });
            for claims in tokens.iter().map(|chosen| token(set, chosen)) {
                let real = kind.relations().iter().all(|relation| relation.holds(&claims));
                match finding.rule {
                    "never-matches" if finding.message.starts_with("no token") => {
                        prop_assert!(!(real && allows(at, &claims)), "{} but {claims:?}", finding.message);
                    }
                    "vetoed-value" => {
                        let claim = finding.message.split('`').nth(1).unwrap();
                        let value = finding.message.split('"').nth(1);
                        prop_assert!(claims.text(claim) != value || !allows(at, &claims), "{} but {claims:?}", finding.message);
                    }
                    "covered-row" => {
                        let other: usize = finding.message.rsplit("row ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
                        prop_assert!(!allows(at, &claims) || allows(other - 1, &claims), "{} but {claims:?}", finding.message);
                    }
                    "waiver-in-vain" => {
                        let decided = without.as_ref().is_none_or(|set| decide(set, &ask("github", &claims, Some("r"))).is_ok());
                        prop_assert!(without.is_none() || allows(at, &claims) == decided, "{} but {claims:?}", finding.message);
                    }
                    _ => {}
                }
            }
        }
    }
}

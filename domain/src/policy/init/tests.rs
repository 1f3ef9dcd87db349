use super::*;
use crate::policy::check::check;
use crate::policy::tests::loaded;
use crate::policy::{Ask, coverage, decide};

/// A token of a kind's sample with changes.
fn token(kind: &str, changes: &[(&str, &str)]) -> Claims {
    changes.iter().fold(by_name(kind).unwrap().sample(), |claims, (name, value)| claims.with(name, *value))
}

fn made(start: &Start) -> Vec<SourceFile> {
    init(start).unwrap_or_else(|error| panic!("{error}: {}", error.remedy))
}

#[test]
fn a_first_set_of_every_kind_is_clean_and_lets_in_its_own_token_alone() {
    for kind in built_in() {
        let name = &kind.name();
        let claims = kind.sample();
        let Ok(start) = of_token(claims.clone(), Some("https://broker.test".to_owned()), None) else {
            panic!("{name}: its own sample is not known")
        };
        assert_eq!(start.kind.name(), *name);
        let report = check(made(&start));
        assert!(report.set.is_some() && report.findings().is_empty(), "{name}: {:#?}", report.findings());
        assert!(
            report.cases.len() >= 2 && !report.proofs.is_empty() && report.proofs.iter().all(crate::policy::Proof::holds),
            "{name}"
        );
        let set = report.set.as_ref().unwrap();
        let uncovered: Vec<_> = coverage(set, &report.cases).rows.into_iter().filter(|row| !row.is_whole()).collect();
        assert!(uncovered.is_empty(), "{name}: {uncovered:#?}");
        let ask = |claims: &Claims| {
            let ask = Ask { issuer: name, claims, role: Some(&start.role), credentials: &[], ttl: None, now: 0 };
            decide(set, &ask).is_ok()
        };
        assert!(ask(&claims), "{name}");
        // Another project is another one in every id that pins it.
        for pin in kind.claims().iter().filter(|claim| claim.pins_project && claims.text(&claim.name).is_some()) {
            let mut other = claims.clone();
            other.put(&pin.name, Json::from("4711"));
            let row = &set.role(&start.role).unwrap().rows[0];
            assert!(!ask(&other) || !row.conditions.iter().any(|condition| condition.claim == pin.name), "{name}: {}", pin.name);
        }
    }
}

#[test]
fn a_first_set_pins_ids_and_says_what_they_stand_for() {
    let claims = token("github", &[("repository", "acme/Web.Shop"), ("repository_id", "42"), ("environment", "production")]);
    let start = of_token(claims, None, None).unwrap();
    let files = made(&start);
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["cases/web-shop-deploy.toml", "invariants.toml", "issuers.toml", "web-shop-deploy.toml"]);
    let text = &files[3].text;
    for line in [
        "repository_owner_id = \"9919\"",
        "# acme/Web.Shop",
        "ref                 = \"refs/heads/main\"",
        "environment         = \"production\"",
        "event_name          = \"push\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("octocat") && !files[0].text.contains("octocat"), "nobody is named");
    assert!(files[1].text.contains("only   = { role = \"web-shop-deploy\", repository_id = \"42\" }"), "{}", files[1].text);
    assert!(files[1].text.contains("\"pull_request_target\""), "{}", files[1].text);
    assert!(files[0].text.contains("code   = \"event_not_allowed\""), "{}", files[0].text);
}

#[test]
fn a_branch_of_buildkite_is_told_from_a_tag_of_its_name() {
    let sample = by_name("buildkite").unwrap().sample();
    let start = of_token(sample.clone(), None, None).unwrap();
    let files = made(&start);
    let set = loaded(files.clone());
    let allows = |claims: &Claims| {
        let ask = Ask { issuer: "buildkite", claims, role: Some(&start.role), credentials: &[], ttl: None, now: 0 };
        decide(&set, &ask).is_ok()
    };
    assert!(allows(&sample) && !allows(&sample.clone().with("build_tag", "main")));
    assert!(files.iter().any(|file| file.text.contains("another build_tag stays out")));
    let tagged = made(&of_token(sample.with("build_tag", "v1"), None, None).unwrap());
    assert!(tagged.iter().any(|file| file.text.contains("build_tag       = \"v1\"")), "{tagged:#?}");
}

#[test]
fn a_first_set_of_every_kind_asks_for_what_starters_say() {
    for kind in built_in() {
        let name = kind.name();
        let start = of_token(kind.sample(), Some("https://broker.test".to_owned()), None).unwrap();
        let set = loaded(made(&start));
        let mut asked: Vec<&str> =
            set.role(&start.role).unwrap().rows[0].conditions.iter().map(|condition| condition.claim.as_str()).collect();
        let mut expected: Vec<&str> = kind.starters().to_vec();
        expected.retain(|claim| kind.sample().get(claim).is_some() || kind.absences().contains(claim));
        asked.sort_unstable();
        expected.sort_unstable();
        assert_eq!(asked, expected, "{name}");
        // Each of them counts: with another text, or with what should be absent, the token stays out.
        for claim in expected {
            let mut other = kind.sample();
            other.put(claim, Json::from("something-else"));
            let ask = Ask { issuer: name, claims: &other, role: Some(&start.role), credentials: &[], ttl: None, now: 0 };
            assert!(decide(&set, &ask).is_err(), "{name}: {claim}");
        }
    }
}

#[test]
fn jobs_that_no_policy_should_let_in_make_none() {
    for changes in [
        &[("event_name", "pull_request"), ("ref", "refs/pull/7/merge")][..],
        &[("event_name", "pull_request_target")],
        &[("runner_environment", "self-hosted")],
    ] {
        let error = init(&of_token(token("github", changes), None, None).unwrap()).unwrap_err();
        assert!(error.reason.contains("kept out"), "{error}");
    }
    let fork = token("gitlab", &[("job_project_id", "666")]);
    assert!(init(&of_token(fork, None, None).unwrap()).unwrap_err().reason.contains("foreign-project"));
}

#[test]
fn tokens_that_were_not_meant_for_a_broker_are_told() {
    let default = token("github", &[("aud", "https://github.com/acme")]);
    assert!(of_token(default.clone(), None, None).unwrap_err().reason.contains("asks for no audience"));
    assert!(of_token(default, Some("https://broker.test".to_owned()), None).is_ok());
    for (iss, audience) in [
        ("https://github.acme.example/_services/token", "https://github.acme.example/acme"),
        ("https://token.actions.acme.ghe.com", "https://acme.ghe.com/acme"),
        ("https://token.actions.githubusercontent.com/acme", "https://github.com/acme"),
        ("https://token.actions.githubusercontent.com", "sts.amazonaws.com"),
    ] {
        let token = token("github", &[("iss", iss), ("aud", audience)]);
        let error = of_token(token.clone(), None, None).unwrap_err();
        assert!(error.reason.contains(audience) && error.remedy.contains("--audience"), "{error}");
        assert!(of_token(token.clone(), Some(audience.to_owned()), None).is_err(), "named by hand it is no better: {audience}");
        made(&of_token(token, Some("https://broker.test".to_owned()), None).unwrap());
    }
    let organization = by_name("circleci").unwrap().sample().text("iss").unwrap().rsplit('/').next().unwrap().to_owned();
    for (kind, audience) in [
        ("buildkite", "https://buildkite.com/acme"),
        ("circleci", &organization),
        ("bitbucket", "ari:cloud:bitbucket::workspace/6a1b3d6c-0b6f-4b7e-9a39-0c1f2e3d4a5b"),
    ] {
        let error = of_token(token(kind, &[("aud", audience)]), None, None).unwrap_err();
        assert!(error.reason.contains("asks for no audience"), "{kind}: {error}");
    }
    let unknown = token("github", &[("iss", "https://login.example")]);
    let error = of_token(unknown, None, None).unwrap_err();
    assert!(error.reason.contains("https://login.example"), "{error}");
    assert!(!error.remedy.contains(", generic") && error.remedy.contains("kind = \"generic\""), "{}", error.remedy);
    let login = by_name("gitlab").unwrap().sample().without("pipeline_id");
    assert!(of_token(login, None, None).is_err(), "a login token of the same issuer is no CI token");
}

#[test]
fn a_name_that_no_role_can_have_is_refused_before_it_names_a_file() {
    for bad in ["a b", "../../../evil", "No-Role", "", "-x", "a/b", "x\0", &"a".repeat(65)] {
        let error = of_token(token("github", &[]), None, Some(bad.to_owned())).unwrap_err();
        assert!(error.reason.contains("cannot name a role") && error.remedy.contains("lower-case letters"), "{error}");
    }
    for taken in ["issuers", "invariants"] {
        let error = of_token(token("github", &[]), None, Some(taken.to_owned())).unwrap_err();
        assert!(error.reason.contains("has a file"), "{error}");
    }
}

#[test]
fn on_gitlab_the_whole_ref_is_asked_for_and_another_project_differs_in_all_that_names_it() {
    let files = made(&of_token(token("gitlab", &[]), None, None).unwrap());
    let of = |name: &str| &files.iter().find(|file| file.path == name).unwrap().text;
    let row = of("shop-deploy.toml");
    assert!(
        row.contains("ref_path        = \"refs/heads/main\"") && !row.contains("\nref ") && !row.contains("ref_type"),
        "{row}"
    );
    let cases = of("cases/shop-deploy.toml");
    let other = cases.split("[[case]]").find(|case| case.contains("another project_id")).unwrap();
    assert!(other.contains("project_id = \"42420\"") && other.contains("job_project_id = \"42420\""), "{other}");
}

#[test]
fn names_cannot_break_out_of_their_place() {
    let evil = "acme/x\"\n[role.evil]\n# ";
    let of = |environment| of_token(token("github", &[("repository", evil), ("environment", environment)]), None, None).unwrap();
    assert!(init(&of("a\nb")).is_err(), "what a reader of the policy cannot see is not written into it");
    let files = made(&of("a\"] # b"));
    let set = loaded(files);
    assert_eq!(set.roles().len(), 1);
}

#[test]
fn a_repository_without_a_token_gets_its_default_branch() {
    let repository = Repository { id: 77, full_name: "acme/shop".to_owned(), owner_id: 9919, default_branch: "trunk".to_owned() };
    let api = "https://api.github.com".parse().unwrap();
    let start = of_repository(&repository, &api, "https://broker.test".to_owned(), Some("ship".to_owned())).unwrap();
    let files = made(&start);
    assert!(check(files.clone()).findings().is_empty());
    let text = &files.iter().find(|file| file.path == "ship.toml").unwrap().text;
    assert!(text.contains("{ glob = \"acme/shop/.github/workflows/*@refs/heads/trunk\" }"), "{text}");
    assert!(text.contains("[\"push\", \"workflow_dispatch\"]") && text.contains("repository_id       = \"77\""), "{text}");
    let odd = Repository { default_branch: "a{b".to_owned(), ..repository };
    assert!(of_repository(&odd, &api, "https://broker.test".to_owned(), None).is_err());
}

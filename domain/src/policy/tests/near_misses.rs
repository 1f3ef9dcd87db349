use super::*;

fn miss(row: &str, claim: &str, value: impl Into<crate::claims::Json>) -> Vec<String> {
    let set = loaded(with_row(&format!("{row}\nwaive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n")));
    let claims = set.issuer("github").unwrap().kind.sample().with(claim, value);
    let explained = explain(&set, &ask("github", &claims, Some("deploy")));
    assert_eq!(explained.outcome, "deny", "{row}");
    explained.near_misses
}

#[test]
fn tells_what_a_person_would_have_taken_for_the_same() {
    let table = [
        ("ref = \"refs/heads/main\"", "ref", "refs/heads/Main", "case"),
        ("ref = \"refs/heads/main\"", "ref", "main", "short against the full form"),
        ("ref = { glob = \"refs/heads/release/*\" }", "ref", "refs/heads/release/1/2", "never crosses"),
        ("ref = { glob = \"refs/heads/Release/*\" }", "ref", "refs/heads/release/1", "case"),
        (
            "sub = \"repo:acme/shop:ref:refs/heads/main\"",
            "sub",
            "repo:acme@9919/shop@637712:ref:refs/heads/main",
            "immutable form",
        ),
        (
            "sub = \"repo:acme@9919/shop@637712:ref:refs/heads/main\"",
            "sub",
            "repo:acme/shop:ref:refs/heads/main",
            "immutable form",
        ),
        ("sub = \"repo:acme/shop:environment:prod\"", "sub", "repo:acme/shop:ref:refs/heads/main", "declares no environment"),
        ("sub = \"repo:acme/shop:ref:refs/heads/main\"", "sub", "repo:acme/shop:environment:prod", "declares an environment"),
        ("sub = \"repo:acme/shop:ref:refs/heads/main\"", "sub", "repo:acme/shop:pull_request", "pull request"),
        ("sub = \"repo:acme/shop:environment:a:b\"", "sub", "repo:acme/shop:environment:a%3Ab", "%3A"),
        (
            "job_workflow_ref = \"a/b/.github/workflows/d.yml@refs/heads/main\"",
            "job_workflow_ref",
            "a/b/.github/workflows/d.yml@refs/tags/v1",
            "same file at another ref",
        ),
        ("run_id = \"77\"", "run_id", "077", "same number"),
        ("ref = \"refs/heads/v1\"", "ref", "refs/tags/v1", "a tag of that name"),
        ("ref = { glob = \"refs/tags/v*\" }", "ref", "refs/heads/v1", "a tag of that name"),
        ("ref = { glob = \"refs/heads/release/*\" }", "ref", "release/1", "short against the full form"),
        ("head_ref = { glob = \"https://x.example/*\" }", "head_ref", "http://x.example/a", "http against https"),
        ("head_ref = { glob = \"https://x.example/*\" }", "head_ref", "https://x.example/a/", "trailing slash"),
        (
            "sub = { glob = \"repo:acme/shop:ref:refs/heads/*\" }",
            "sub",
            "repo:acme@9919/shop@637712:ref:refs/heads/main",
            "immutable one",
        ),
        (
            "job_workflow_ref = \"a/b/.github/workflows/d.yml@refs/heads/main\"",
            "job_workflow_ref",
            "a/b/.github/workflows/d.yaml@refs/heads/main",
            ".yaml against .yml",
        ),
        ("head_ref = \"acme/shop\"", "head_ref", "", "the token says that in repository"),
        ("repository = \"acme/shop\"\nrepository_id = \"637712\"", "repository_id", "5", "repository is right"),
        ("repository = \"acme/shop\"\nrepository_id = \"637712\"", "repository", "acme/store", "renamed or moved"),
    ];
    for (row, claim, value, told) in table {
        let misses = miss(row, claim, value);
        assert!(misses.iter().any(|miss| miss.contains(told)), "{row} against {value}: {misses:?}");
    }
    let misses = miss("run_id = \"77\"", "run_id", 77);
    assert!(misses.iter().any(|miss| miss.contains("a number, not a string")), "{misses:?}");
    let misses = miss("ref_protected = \"true\"", "ref_protected", true);
    assert!(misses.iter().any(|miss| miss.contains("a boolean, not a string")), "{misses:?}");
}

#[test]
fn tells_wrong_audiences_and_issuers() {
    let ref_x = "ref = \"refs/heads/x\"";
    for (claim, value, told) in [
        ("aud", "https://github.com/acme", "GitHub's default audience"),
        ("aud", "https://daypass.example.com/", "trailing slash"),
        ("aud", "http://daypass.example.com", "http against https"),
        ("iss", "http://token.actions.githubusercontent.com", "http against https"),
        ("iss", "https://token.actions.githubusercontent.com/acme", "enterprise slug"),
    ] {
        let misses = miss(ref_x, claim, value);
        assert!(misses.iter().any(|miss| miss.contains(told)), "{value}: {misses:?}");
    }
}

#[test]
fn the_caller_learns_nothing_of_what_a_row_expects() {
    let set = loaded(with_row("repository_id = \"637712\"\nref = \"refs/heads/secret-name\"\nenvironment = \"Hidden\"\n"));
    let claims = set.issuer("github").unwrap().kind.sample();
    let known = both(&set, &ask("github", &claims, Some("deploy"))).unwrap_err();
    let unknown = both(&set, &ask("github", &claims, Some("no-such-role"))).unwrap_err();
    assert_eq!(known, unknown, "a refusal tells whether the role exists");
    let told = format!("{known:?}");
    assert!(!told.contains("secret-name") && !told.contains("Hidden"), "{told}");
    assert!(known.hints.iter().any(|hint| hint.contains("no environment claim")), "{:?}", known.hints);
}

#[test]
fn explains_every_row_with_expected_and_actual() {
    let set = loaded(starter());
    let claims = set.issuer("github").unwrap().kind.sample().with("runner_environment", "self-hosted");
    let explained = explain(&set, &ask("github", &claims, Some("shop-deploy-prod")));
    let row = &explained.roles[0].rows[0];
    assert_eq!((row.file.as_str(), row.row, row.matches), ("shop.toml", 0, false));
    let environment = row.conditions.iter().find(|condition| condition.claim == "environment").unwrap();
    assert_eq!(
        (environment.expected.as_str(), environment.actual.as_deref(), environment.holds),
        ("\"production\"", None, false)
    );
    let veto = row.vetoes.iter().find(|veto| veto.strikes).unwrap();
    assert_eq!((veto.name, veto.actual.as_deref()), ("self-hosted-runner", Some("\"self-hosted\"")));
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["outcome"], "deny");
    let unknown = explain(&set, &ask("github", &claims, Some("shop-deploy-prd")));
    assert!(unknown.near_misses.iter().any(|miss| miss.contains("did you mean `shop-deploy-prod`?")));
}

#[test]
fn a_row_of_another_issuer_in_which_all_else_holds_is_told() {
    let second =
        ISSUERS.replace("issuer.github", "issuer.enterprise").replace("githubusercontent.com\"", "githubusercontent.com/acme\"");
    let mut files = with_row("repository_id = \"637712\"\nref = \"refs/heads/main\"\n");
    files[0].text.push_str(&second);
    files[0]
        .text
        .push_str("[[role.other.allow]]\nissuer = \"enterprise\"\nrepository_id = \"637712\"\nref = \"refs/heads/main\"\n");
    files[0].text.push_str("[role.other.credential.secret]\nengine = \"kv\"\npath = \"shop/other\"\n");
    let set = loaded(files);
    let claims = set.issuer("github").unwrap().kind.sample();
    let explained = explain(&set, &ask("github", &claims, Some("other")));
    assert_eq!(explained.near_misses, ["other row 1: every condition holds, but the row speaks of the issuer enterprise"]);
}

/// Whatever the rows expect, the caller hears the same: a refusal is a function of the token, its code and nothing else.
#[test]
fn a_refusal_tells_the_same_whatever_the_rows_expect() {
    let rows = [
        "repository_id = \"1\"\nref = \"refs/heads/secret-one\"\n",
        "repository_id = \"637712\"\nref = { glob = \"refs/heads/secret-two/*\" }\nenvironment = \"Secret-Three\"\n",
        "repository_id = \"637712\"\nref = \"refs/heads/Main\"\nenvironment = { present = true }\nhead_ref = { absent = true }\n",
        "repository = \"secret/four\"\nrepository_id = \"637712\"\nref = \"main\"\nwaive = { self-hosted-runner = \"secret five\" }\n",
    ];
    let sample = loaded(starter()).issuer("github").unwrap().kind.sample();
    let tokens = [
        sample.clone(),
        sample.clone().with("environment", "secret-three"),
        sample.clone().with("event_name", "pull_request_target"),
        sample.clone().with("runner_environment", "self-hosted").with("ref", ""),
        sample.clone().with("ref", "refs/pull/7/merge").with("event_name", "pull_request"),
        sample.with("ref", "refs/heads/secret-tw").without("environment"),
    ];
    let sets: Vec<PolicySet> = rows.iter().map(|row| loaded(with_row(row))).collect();
    for claims in &tokens {
        let mut told = std::collections::HashMap::new();
        for (set, role) in sets.iter().flat_map(|set| [None, Some("deploy"), Some("nobody")].map(|role| (set, role))) {
            let Err(refusal) = both(set, &ask("github", claims, role)) else { continue };
            let text = refusal.hints.join("; ");
            // A word that the token has itself is the caller's own.
            let own = serde_json::to_string(claims).unwrap();
            for secret in ["secret-one", "secret-two", "Secret-Three", "secret/four", "secret five", "set.toml", "deploy"] {
                assert!(own.contains(secret) || !text.contains(secret), "{secret}: {text}");
            }
            let first = told.entry(refusal.code).or_insert_with(|| text.clone());
            assert_eq!(*first, text, "{:?} tells of a row", refusal.code);
        }
        assert!(!told.is_empty());
    }
}

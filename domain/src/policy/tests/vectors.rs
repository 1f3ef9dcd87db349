//! Decisions distilled from public test suites and advisories, as far as the policy decides them.

use super::*;
use crate::claims::Json;

const ROW: &str = r#"
repository_owner_id = "1001"
repository_id       = "2002"
ref                 = "refs/heads/main"
event_name          = ["push", "workflow_dispatch"]
job_workflow_ref    = "acme/app/.github/workflows/deploy.yml@refs/heads/main"
"#;

fn token() -> Claims {
    let sample = crate::issuers::by_name("github").unwrap().sample();
    let workflow = "acme/app/.github/workflows/deploy.yml@refs/heads/main";
    [("repository", "acme/app"), ("repository_id", "2002"), ("repository_owner_id", "1001"), ("job_workflow_ref", workflow)]
        .into_iter()
        .fold(sample, |claims, (name, value)| claims.with(name, value))
}

/// Decides with the role named and without, which differ only by the word for no match.
fn outcome(set: &PolicySet, issuer: &str, claims: &Claims) -> &'static str {
    let code = |outcome: Result<Allowed, Refusal>| outcome.map_or_else(|refusal| refusal.code.as_str(), |_| "allow");
    let named = code(both(set, &ask(issuer, claims, Some("deploy"))));
    let unnamed = code(both(set, &ask(issuer, claims, None)));
    assert_eq!(named.replace("role_not_allowed", "no_role_matches"), unnamed);
    named
}

fn github(row: &str, claims: &Claims) -> &'static str {
    outcome(&loaded(with_row(row)), "github", claims)
}

#[test]
fn decides_github_tokens() {
    let table: Vec<(&str, Json, &str)> = vec![
        ("event_name", "push".into(), "allow"),
        ("event_name", "workflow_dispatch".into(), "allow"),
        ("event_name", "schedule".into(), "role_not_allowed"),
        ("event_name", "Push".into(), "role_not_allowed"),
        ("event_name", "pull_request".into(), "event_not_allowed"),
        ("event_name", "pull_request_target".into(), "event_not_allowed"),
        ("event_name", "workflow_run".into(), "event_not_allowed"),
        ("event_name", "issue_comment".into(), "event_not_allowed"),
        ("event_name", "discussion_comment".into(), "event_not_allowed"),
        ("event_name", "fork".into(), "event_not_allowed"),
        ("event_name", Json::Null, "event_not_allowed"),
        ("runner_environment", "self-hosted".into(), "runner_not_allowed"),
        ("runner_environment", "GitHub-hosted".into(), "runner_not_allowed"),
        ("repository_id", 2002.into(), "role_not_allowed"),
        ("repository_id", "02002".into(), "role_not_allowed"),
        ("repository_id", "2002 ".into(), "role_not_allowed"),
        ("repository_id", "２００２".into(), "role_not_allowed"),
        ("repository_id", Json::Array(vec!["2002".into()]), "role_not_allowed"),
        ("repository_owner_id", "5".into(), "role_not_allowed"),
        ("repository", "evil/app".into(), "allow"),
        ("ref", "refs/heads/main-evil".into(), "role_not_allowed"),
        ("ref", "refs/heads/Main".into(), "role_not_allowed"),
        ("ref", "refs/heads/main/".into(), "role_not_allowed"),
        ("ref", "refs/heads/main\u{0}".into(), "role_not_allowed"),
        ("ref", "".into(), "role_not_allowed"),
        ("sub", "*".into(), "allow"),
        ("sub", "".into(), "allow"),
        ("extra", "ignored".into(), "allow"),
        ("environment", "any".into(), "allow"),
    ];
    for (claim, value, expected) in table {
        let mut claims = token();
        claims.put(claim, value.clone());
        assert_eq!(github(ROW, &claims), expected, "{claim} = {value:?}");
    }
}

#[test]
fn compares_workflow_files_as_whole_strings() {
    let base = "acme/app/.github/workflows/";
    for spoof in [
        "deploy.yml@fake.yml@refs/heads/main",
        "deploy.yml@",
        "@",
        "",
        "deploy.yml",
        "deploy.yml@malicious.yml@",
        "deploy.yml@@",
        "Deploy.yml@refs/heads/main",
        "../workflows/deploy.yml@refs/heads/main",
        "deploy.yml@refs/heads/main:x",
    ] {
        let claims = token().with("job_workflow_ref", format!("{base}{spoof}").as_str());
        assert_eq!(github(ROW, &claims), "role_not_allowed", "{spoof}");
    }
    // Neither the caller's file nor a nested name stands for the file that defines the job.
    let caller = token().with("workflow_ref", "evil/app/.github/workflows/deploy.yml@refs/heads/main");
    assert_eq!(github(ROW, &caller), "allow");
    let glob = ROW.replace(
        "\"acme/app/.github/workflows/deploy.yml@refs/heads/main\"",
        "{ glob = \"acme/app/.github/workflows/deploy.yml@refs/tags/v*\" }",
    );
    let at = |name: &str| github(&glob, &token().with("job_workflow_ref", format!("{base}{name}").as_str()));
    assert_eq!(at("deploy.yml@refs/tags/v1.2"), "allow");
    assert_eq!(at("deploy.yml@refs/tags/v1/x"), "role_not_allowed");
    assert_eq!(at("deploy.yml@evil.yml@refs/tags/v1"), "role_not_allowed");
}

#[test]
fn environments_are_compared_without_case_and_never_guessed() {
    let row = format!("{ROW}environment = \"Production\"\n");
    for (environment, expected) in [
        (Some("production"), "allow"),
        (Some("PRODUCTION"), "allow"),
        (Some("production "), "role_not_allowed"),
        (Some("staging"), "role_not_allowed"),
        (Some(""), "role_not_allowed"),
        (None, "role_not_allowed"),
    ] {
        let claims = environment.map_or_else(token, |name| token().with("environment", name));
        assert_eq!(github(&row, &claims), expected, "{environment:?}");
    }
    // A re-templated subject imitates an environment that the job does not have.
    let imitated = token().with("sub", "repo:acme@1001/app@2002:environment:Production");
    assert_eq!(github(&row, &imitated), "role_not_allowed");
}

#[test]
fn a_recycled_name_does_not_open_the_door() {
    let row = format!("{ROW}repository = \"acme/app\"\n");
    assert_eq!(github(&row, &token().with("repository", "Acme/App")), "allow");
    let recycled = token().with("repository_id", "9").with("repository_owner_id", "8");
    assert_eq!(github(&row, &recycled), "role_not_allowed");
    assert_eq!(github(&row, &token().without("repository")), "role_not_allowed");
}

#[test]
fn both_forms_of_the_subject_are_plain_equalities() {
    let row = format!("{ROW}sub = \"repo:acme@1001/app@2002:ref:refs/heads/main\"\n");
    for (sub, expected) in [
        ("repo:acme@1001/app@2002:ref:refs/heads/main", "allow"),
        ("repo:acme/app:ref:refs/heads/main", "role_not_allowed"),
        // The pair that the first immutable form could not tell apart.
        ("repo:acme-1001/app-2002:ref:refs/heads/main", "role_not_allowed"),
        ("repo:acme@1001/app@2002:environment:x:ref:refs/heads/main", "role_not_allowed"),
    ] {
        assert_eq!(github(&row, &token().with("sub", sub)), expected, "{sub}");
    }
    let raw = format!("{ROW}sub = \"repo:acme/app:environment:a%3Ab\"\n");
    assert_eq!(github(&raw, &token().with("sub", "repo:acme/app:environment:a:b")), "role_not_allowed");
    for sub in [Json::Array(Vec::new()), Json::Array(vec!["repo:acme@1001/app@2002:ref:refs/heads/main".into()])] {
        assert_eq!(github(&row, &token().with("sub", sub)), "role_not_allowed");
    }
}

#[test]
fn a_veto_is_lifted_by_name_only() {
    let named = ROW.replace("\"push\", ", "\"push\", \"pull_request\", ");
    let claims = token().with("event_name", "pull_request");
    assert_eq!(github(&named, &claims), "event_not_allowed", "naming the event does not waive its veto");
    let waived = format!("{named}waive = {{ pull-request = \"previews of our own people\" }}\n");
    assert_eq!(github(&waived, &claims), "allow");
    assert_eq!(github(&waived, &claims.with("runner_environment", "self-hosted")), "runner_not_allowed");
    let other = format!("{named}waive = {{ pull-request-target = \"no\" }}\n");
    assert_eq!(github(&other, &token().with("event_name", "pull_request")), "event_not_allowed");
}

#[test]
fn check_run_id_may_be_there_or_not() {
    assert_eq!(github(ROW, &token().without("check_run_id")), "allow");
    let row = format!("{ROW}check_run_id = {{ present = true }}\n");
    assert_eq!(github(&row, &token().without("check_run_id")), "role_not_allowed");
}

#[test]
fn decides_gitlab_tokens() {
    let set = loaded(one(
        "[issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"x\"\n[[role.deploy.allow]]\nissuer = \"gitlab\"\n\
         project_id = \"20\"\nnamespace_id = \"72\"\nproject_path = \"acme/app\"\nref = \"main\"\nref_type = \"branch\"\nref_protected = \"true\"\n\
         environment = \"prod\"\nenvironment_protected = \"true\"\nrunner_id = 12\n\
         ci_config_ref_uri = \"gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main\"\n\
         [role.deploy.credential.c]\nengine = \"kv\"\npath = \"a\"\n",
    ));
    let base = [
        ("project_id", "20"),
        ("job_project_id", "20"),
        ("namespace_id", "72"),
        ("project_path", "acme/app"),
        ("environment", "prod"),
        ("environment_protected", "true"),
        ("ci_config_ref_uri", "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main"),
    ];
    let token = || {
        base.iter().fold(crate::issuers::by_name("gitlab").unwrap().sample(), |claims, (name, value)| claims.with(name, *value))
    };
    let table: Vec<(&str, Json, &str)> = vec![
        ("project_path", "Acme/App".into(), "allow"),
        ("project_path", "acme/app:ref_type:branch:ref:main/x".into(), "role_not_allowed"),
        ("project_path", "acme".into(), "role_not_allowed"),
        ("project_path", "acme/sub/app".into(), "role_not_allowed"),
        ("namespace_id", "73".into(), "role_not_allowed"),
        ("ref_type", "tag".into(), "role_not_allowed"),
        ("ref_protected", "false".into(), "role_not_allowed"),
        ("ref_protected", true.into(), "role_not_allowed"),
        ("ref_protected", Json::Null, "role_not_allowed"),
        ("environment_protected", "false".into(), "role_not_allowed"),
        ("environment", "Prod".into(), "role_not_allowed"),
        ("runner_id", "12".into(), "role_not_allowed"),
        ("runner_id", 12.into(), "allow"),
        ("job_project_id", "21".into(), "fork_not_allowed"),
        ("job_project_id", Json::Null, "fork_not_allowed"),
        ("pipeline_source", "merge_request_event".into(), "allow"),
        ("pipeline_source", "external_pull_request_event".into(), "fork_not_allowed"),
        ("runner_environment", "self-hosted".into(), "runner_not_allowed"),
        ("ci_config_ref_uri", Json::Null, "role_not_allowed"),
        ("ci_config_ref_uri", "gitlab.com/acme/app//.gitlab-ci.yml@evil@refs/heads/main".into(), "role_not_allowed"),
        ("ci_config_ref_uri", "gitlab.com/evil/app//.gitlab-ci.yml@refs/heads/main".into(), "role_not_allowed"),
    ];
    assert_eq!(outcome(&set, "gitlab", &token()), "allow");
    for (claim, value, expected) in table {
        let mut claims = token();
        claims.put(claim, value.clone());
        assert_eq!(outcome(&set, "gitlab", &claims), expected, "{claim} = {value:?}");
    }
    let fork = token().with("project_id", "21").with("pipeline_source", "merge_request_event");
    assert_eq!(outcome(&set, "gitlab", &fork), "role_not_allowed");
}

#[test]
fn the_same_claims_from_another_issuer_open_nothing() {
    let two = "[issuer.other]\nkind = \"github\"\nurl = \"https://ghe.example.com/_services/token\"\naudience = \"x\"\n\
               [[role.other.allow]]\nissuer = \"other\"\nrepository_id = \"1\"\nref = \"refs/heads/main\"\n\
               [role.other.credential.c]\nengine = \"kv\"\npath = \"a\"\n";
    let mut files = with_row(ROW);
    files[0].text.push_str(two);
    let set = loaded(files);
    assert_eq!(outcome(&set, "github", &token()), "allow");
    assert_eq!(outcome(&set, "other", &token()), "role_not_allowed");
}

#[test]
fn the_slug_form_is_an_issuer_of_its_own() {
    let mut files = with_row(ROW);
    let slug = ISSUERS.replace("issuer.github", "issuer.slug").replace("content.com\"", "content.com/acme\"");
    let row = format!("[[role.deploy.allow]]\nissuer = \"slug\"{ROW}");
    files[0].text.push_str(&(slug + &row));
    let set = loaded(files);
    assert_eq!(set.issuer_by_url("https://token.actions.githubusercontent.com/acme").unwrap().name, "slug");
    assert!(set.issuer_by_url("https://token.actions.githubusercontent.com/").is_none());
    assert_eq!(outcome(&set, "github", &token()), "allow");
    assert_eq!(outcome(&set, "slug", &token()), "allow");
}

#[test]
fn a_disabled_issuer_opens_nothing() {
    let mut files = with_row(ROW);
    files[0].text = files[0].text.replace("kind     =", "enabled = false\nkind =");
    assert_eq!(outcome(&loaded(files), "github", &token()), "issuer_disabled");
}

#[test]
fn two_roles_are_ambiguous_until_one_is_named() {
    let mut files = with_row(ROW);
    let second =
        format!("[[role.second.allow]]\nissuer = \"github\"\n{ROW}[role.second.credential.c]\nengine = \"kv\"\npath = \"a\"\n");
    files[0].text.push_str(&second);
    let set = loaded(files);
    let claims = token();
    let refusal = both(&set, &ask("github", &claims, None)).unwrap_err();
    assert_eq!(refusal.code.as_str(), "role_ambiguous");
    assert_eq!(refusal.hints, ["the token can become deploy, second"]);
    assert_eq!(both(&set, &ask("github", &claims, Some("second"))).unwrap().role, "second");
}

//! The decision vectors of public test suites, section by section, as far as the policy decides them (the verifier's are in
//! the broker, `oidc/verifier/published.rs`). Each row has the name of its vector.

use super::*;
use crate::claims::Json;
use crate::issuers::{built_in, by_name};

type Row<'a> = (&'a str, &'a [(&'a str, Json)], &'a str);

/// Decides each row's changes to the token under the one role.
fn table(set: &PolicySet, issuer: &str, token: &Claims, rows: &[Row<'_>]) {
    for (name, changes, expected) in rows {
        let mut claims = token.clone();
        for (claim, value) in *changes {
            claims.put(claim, value.clone());
        }
        let outcome = both(set, &ask(issuer, &claims, Some("deploy")));
        assert_eq!(outcome.map_or_else(|refusal| refusal.code.as_str(), |_| "allow"), *expected, "{name}");
    }
}

fn text(value: &str) -> Json {
    Json::from(value)
}

fn sample(kind: &str) -> Claims {
    by_name(kind).unwrap().sample()
}

const NO: &str = "role_not_allowed";

/// 7.2: octo-sts, CheckToken. Its patterns are regular expressions; here values are listed, and typed.
#[test]
fn section_7_2_subjects_and_custom_claims() {
    let issuer = |name: &str, url: &str| {
        format!(
            "[issuer.{name}]\nkind = \"generic\"\nurl = \"{url}\"\naudience = \"x\"\n[issuer.{name}.claims]\n\
             sub = {{ class = \"immutable\" }}\nflag = {{ type = \"boolean\", presence = \"optional\" }}\n\
             number = {{ type = \"integer\", presence = \"optional\" }}\ntier = {{ presence = \"optional\" }}\n\
             branch = {{ presence = \"optional\" }}\n[issuer.{name}.job]\nproject = \"sub\"\nref = \"branch\"\n"
        )
    };
    let row = |issuer: &str| {
        format!(
            "[[role.deploy.allow]]\nissuer = \"{issuer}\"\nsub = [\"1234567890\", \"123\", \"456\"]\nbranch = \"main\"\nflag = true\nnumber = 7\n"
        )
    };
    let text_of = [
        issuer("com", "https://example.com"),
        issuer("net", "https://example.net"),
        row("com"),
        row("net"),
        "[role.deploy.credential.c]\nengine = \"kv\"\npath = \"a\"\n".to_owned(),
    ];
    let set = loaded(one(&text_of.concat()));
    let token = Claims::default().with("sub", "1234567890").with("branch", "main").with("flag", true).with("number", 7);
    let rows: &[Row<'_>] = &[
        ("issuer and subject equal", &[], "allow"),
        ("one of the subjects", &[("sub", text("123"))], "allow"),
        ("subject not digits", &[("sub", text("abc4567890"))], NO),
        ("subject with digits more", &[("sub", text("12345678901"))], NO),
        ("(123|456) against 123999", &[("sub", text("123999"))], NO),
        ("123|456, not grouped, against x456", &[("sub", text("x456"))], NO),
        ("custom claim required, token has none", &[("flag", Json::Null)], NO),
        ("boolean claim as a text", &[("flag", text("true"))], NO),
        ("boolean claim false", &[("flag", false.into())], NO),
        ("numeric claim as digits", &[("number", text("7"))], NO),
        ("numeric claim as a fraction", &[("number", Json::Number(7.0))], NO),
        ("two claims, one mismatched", &[("number", 8.into())], NO),
        ("two claims, one absent", &[("number", Json::Null)], NO),
        ("unrelated claims are ignored", &[("tier", text("gold")), ("unknown", 1.into())], "allow"),
    ];
    table(&set, "com", &token, rows);
    table(&set, "net", &token, rows);
    // .org instead of .com, and what only contains the issuer.
    for url in
        ["https://example.org", "https://example.com.evil.example", "https://evil.example/https://example.com", "example.com"]
    {
        assert!(set.issuer_by_url(url).is_none(), "{url}");
    }
}

const FILE: &str = "foo/bar/.github/workflows/baz.yml";

/// 7.3: warehouse, GitHub. A publisher is repository, workflow file and perhaps environment.
#[test]
fn section_7_3_github_publishers() {
    let publisher = |reference: &str, environment: &str| {
        loaded(with_row(&format!(
            "repository_id = \"2002\"\nrepository = \"foo/bar\"\nref_protected = \"true\"\njob_workflow_ref = \"{FILE}@{reference}\"\n{environment}"
        )))
    };
    let token = |reference: &str| {
        sample("github")
            .with("repository", "foo/bar")
            .with("repository_id", "2002")
            .with("job_workflow_ref", format!("{FILE}@{reference}").as_str())
    };
    let set = publisher("refs/heads/main", "");
    let rows: &[Row<'_>] = &[
        ("repository of another case", &[("repository", text("FOO/Bar"))], "allow"),
        ("repository empty", &[("repository", text(""))], NO),
        ("repository missing", &[("repository", Json::Null)], NO),
        ("event pull_request_target", &[("event_name", text("pull_request_target"))], "event_not_allowed"),
        ("environment not pinned, any given", &[("environment", text("some-environment"))], "allow"),
        ("environment not pinned, none given", &[("environment", Json::Null)], "allow"),
        ("file at a file", &[("job_workflow_ref", text(&format!("{FILE}@fake.yml@refs/heads/main")))], NO),
        ("file without a ref", &[("job_workflow_ref", text(&format!("{FILE}@")))], NO),
        ("no file", &[("job_workflow_ref", text("foo/bar/.github/workflows/@"))], NO),
        ("no file and no ref", &[("job_workflow_ref", text("foo/bar/.github/workflows/"))], NO),
        ("the file alone", &[("job_workflow_ref", text("baz.yml"))], NO),
        ("malicious suffix", &[("job_workflow_ref", text(&format!("{FILE}@malicious.yml@")))], NO),
        ("two signs", &[("job_workflow_ref", text(&format!("{FILE}@@")))], NO),
        ("empty", &[("job_workflow_ref", text(""))], NO),
        ("missing", &[("job_workflow_ref", Json::Null)], NO),
        ("both ref and sha empty", &[("job_workflow_ref", text(&format!("{FILE}@"))), ("ref", text("")), ("sha", text(""))], NO),
    ];
    table(&set, "github", &token("refs/heads/main"), rows);
    // The ref as written, be it a branch, a tag, a pull request, a bare name or a commit, and no other.
    for reference in ["refs/heads/main", "refs/tags/v1", "refs/pull/7/merge", "main", "4f5a1c7e9b2d8036f1e4a7c5d9b30e628f71a4c2"]
    {
        let set = publisher(reference, "");
        table(&set, "github", &token(reference), &[("file at its ref", &[], "allow")]);
        table(&set, "github", &token("refs/heads/other"), &[("file at another ref", &[], NO)]);
    }
    table(
        &publisher("refs/heads/main", "environment = \"Some-Environment\"\n"),
        "github",
        &token("refs/heads/main"),
        &[
            ("environment equal", &[("environment", text("Some-Environment"))], "allow"),
            ("environment of another case", &[("environment", text("some-ENVIRONMENT"))], "allow"),
            ("environment absent", &[], NO),
            ("environment other", &[("environment", text("other"))], NO),
        ],
    );
}

/// 7.4: warehouse, GitLab. A publisher is a project, a file of its configuration and perhaps an environment.
#[test]
fn section_7_4_gitlab_publishers() {
    let config = "gitlab.com/foo/bar//.gitlab-ci.yml";
    let row = format!(
        "project_id = \"4242\"\nproject_path = \"foo/bar\"\nref_path = \"refs/heads/main\"\nci_config_ref_uri = \"{config}@refs/heads/main\"\n"
    );
    let with = |environment: &str| {
        let issuer = |name: &str, url: &str| format!("[issuer.{name}]\nkind = \"gitlab\"\nurl = \"{url}\"\naudience = \"x\"\n");
        loaded(one(&format!(
            "{}{}[[role.deploy.allow]]\nissuer = \"gitlab\"\n{row}{environment}[[role.other.allow]]\nissuer = \"own\"\nproject_id = \"1\"\n\
             ref_protected = \"true\"\n[role.deploy.credential.c]\nengine = \"kv\"\npath = \"a\"\n[role.other.credential.c]\nengine = \"kv\"\npath = \"a\"\n",
            issuer("gitlab", "https://gitlab.com"),
            issuer("own", "https://gitlab.example.com")
        )))
    };
    let token =
        sample("gitlab").with("project_path", "foo/bar").with("ci_config_ref_uri", format!("{config}@refs/heads/main").as_str());
    let at = |file: &str| text(&format!("gitlab.com/foo/bar//{file}"));
    let rows: &[Row<'_>] = &[
        ("project path equal", &[], "allow"),
        ("project path of another case", &[("project_path", text("Foo/BAR"))], "allow"),
        ("project path empty", &[("project_path", text(""))], NO),
        ("subgroup", &[("project_path", text("foo/sub/bar"))], NO),
        ("path without a slash", &[("project_path", text("foo"))], NO),
        ("file at a file", &[("ci_config_ref_uri", at(".gitlab-ci.yml@fake.yml@refs/heads/main"))], NO),
        ("file without a ref", &[("ci_config_ref_uri", at(".gitlab-ci.yml@"))], NO),
        ("no file", &[("ci_config_ref_uri", at("@refs/heads/main"))], NO),
        ("another file", &[("ci_config_ref_uri", at("other.yml@refs/heads/main"))], NO),
        ("one slash", &[("ci_config_ref_uri", text("gitlab.com/foo/bar/.gitlab-ci.yml@refs/heads/main"))], NO),
        ("another host", &[("ci_config_ref_uri", text("evil.example/foo/bar//.gitlab-ci.yml@refs/heads/main"))], NO),
        ("two signs", &[("ci_config_ref_uri", at(".gitlab-ci.yml@@"))], NO),
        ("empty", &[("ci_config_ref_uri", text(""))], NO),
        ("missing", &[("ci_config_ref_uri", Json::Null)], NO),
        ("environment not pinned, any given", &[("environment", text("e"))], "allow"),
        // 7.5: what GitLab adds there.
        ("namespace resurrected: same path, other ids", &[("project_id", text("9")), ("job_project_id", text("9"))], NO),
    ];
    table(&with(""), "gitlab", &token, rows);
    table(&with(""), "own", &token, &[("same path under a custom issuer", &[], NO)]);
    table(
        &with("environment = \"Prod\"\n"),
        "gitlab",
        &token,
        &[
            ("environment equal", &[("environment", text("Prod"))], "allow"),
            ("environment of another case", &[("environment", text("prod"))], NO),
            ("environment absent", &[], NO),
        ],
    );
}

/// 7.6: Fulcio. Issuers are compared byte by byte, so what its patterns have to keep out has no way in; where a kind knows
/// the form of its URLs, a set cannot even name another.
#[test]
fn section_7_6_issuer_urls() {
    for kind in built_in() {
        let sample = kind.sample();
        let url = sample.text("iss").unwrap();
        let (_, rest) = url.split_once("://").unwrap();
        for other in [
            format!("http://{rest}"),
            format!("http://localhost?issuer={url}"),
            format!("http://localhost/redirect/{url}"),
            format!("{url}?x=y"),
            format!("{url}#x"),
            format!("https://user@{rest}"),
            format!(" {url}"),
        ] {
            assert!(kind.check_url(&other).is_err(), "{}: {other}", kind.name());
        }
        let set = loaded(one(&format!(
            "[issuer.i]\nkind = \"{}\"\nurl = \"{url}\"\naudience = \"x\"\n[[role.r.allow]]\nissuer = \"i\"\n\
             waive = {{ no-project-pin = \"t\", no-code-gate = \"t\" }}\n[role.r.credential.c]\nengine = \"kv\"\npath = \"a\"\n",
            kind.name()
        )));
        assert!(set.issuer_by_url(url).is_some());
        // With and without a slash at the end are two issuers.
        for near in [format!("{url}/"), url.trim_end_matches('/').to_owned() + "//", url.to_uppercase(), format!("{url}/x")] {
            assert!(set.issuer_by_url(&near).is_none(), "{}: {near}", kind.name());
        }
    }
}

/// 7.7: Conjur, as far as a policy says it.
#[test]
fn section_7_7_restrictions() {
    let refused = |row: &str, rule: &str| {
        let problems = problems(with_row(row));
        assert!(problems.iter().any(|problem| problem.rule == rule), "{row}: {}", lines(&problems));
    };
    // A host without restrictions; an annotation that is empty, or names a path or a standard claim that there is none of.
    refused("", "no-project-pin");
    refused("repository_id = \"\"\nref = \"refs/heads/main\"", "no-project-pin");
    refused("repository_id = []\nref = \"refs/heads/main\"", "empty-list");
    refused("repository_id = \"1\"\nref = \"refs/heads/main\"\n\"/a//b\" = \"x\"", "unknown-claim");
    for standard in ["iss", "aud", "exp", "iat", "nbf", "jti"] {
        refused(&format!("repository_id = \"1\"\nref = \"refs/heads/main\"\n{standard} = \"x\""), "registered-claim");
    }
    let set = loaded(with_row("repository_id = \"637712\"\nref = \"refs/heads/main\"\nrepository_owner_id = \"9919\""));
    let rows: &[Row<'_>] = &[
        ("all restrictions hold", &[], "allow"),
        ("one of several is wrong", &[("repository_owner_id", text("1"))], NO),
        ("an enforced claim is absent", &[("repository_owner_id", Json::Null)], NO),
    ];
    table(&set, "github", &sample("github"), rows);
}

/// 7.8: what nobody ships a vector for.
#[test]
fn section_7_8_github_subjects_and_names() {
    let set = loaded(with_row("repository_id = \"637712\"\nref = \"refs/heads/main\"\nenvironment = \"production\""));
    let token = sample("github").with("environment", "production");
    let rows: &[Row<'_>] = &[
        ("subject of old", &[("sub", text("repo:acme/shop:environment:production"))], "allow"),
        ("immutable subject", &[("sub", text("repo:acme@9919/shop@637712:environment:production"))], "allow"),
        (
            "a subject's delimiters collide",
            &[("sub", text("repo:acme-9919/shop-637712:environment:production")), ("repository_id", text("1"))],
            NO,
        ),
        (
            "a template imitates an environment",
            &[("sub", text("repo:acme/shop:environment:production")), ("environment", Json::Null)],
            NO,
        ),
        ("an escaped colon", &[("environment", text("production%3A"))], NO),
        ("a raw colon", &[("environment", text("production:x"))], NO),
        ("check_run_id absent", &[("check_run_id", Json::Null)], "allow"),
        ("a reader of look-alikes", &[("environment", text("pr\u{43e}duction"))], NO),
    ];
    table(&set, "github", &token, rows);
    // A difference of letters alone is hinted at to the owners of the policy.
    let branch = token.clone().with("ref", "refs/heads/Main");
    let explained = explain(&set, &ask("github", &branch, Some("deploy")));
    let told = serde_json::to_string(&explained).unwrap();
    assert!(told.contains("it differs only by case"), "{told}");
}

/// 7.8: forks and protections on GitLab, and what other issuers add.
#[test]
fn section_7_8_other_issuers() {
    let issuer = |kind: &str| {
        let url = sample(kind);
        format!("[issuer.i]\nkind = \"{kind}\"\nurl = \"{}\"\naudience = \"x\"\n", url.text("iss").unwrap())
    };
    let set = |kind: &str, row: &str| {
        loaded(one(&format!(
            "{}[[role.deploy.allow]]\nissuer = \"i\"\n{row}\n[role.deploy.credential.c]\nengine = \"kv\"\npath = \"a\"\n",
            issuer(kind)
        )))
    };
    let guarded = "project_id = \"4242\"\nenvironment = \"production\"\nenvironment_protected = \"true\"";
    let token = sample("gitlab").with("environment", "production").with("environment_protected", "true");
    let rows: &[Row<'_>] = &[
        ("protected environment", &[], "allow"),
        ("the pipeline's project is not the job's", &[("job_project_id", text("1"))], "fork_not_allowed"),
        ("an old server tells no job_project_id", &[("job_project_id", Json::Null)], "fork_not_allowed"),
        ("protection off", &[("environment_protected", text("false"))], NO),
        ("protection as a boolean", &[("environment_protected", true.into())], NO),
    ];
    table(&set("gitlab", guarded), "i", &token, rows);
    let account = "\"/kubernetes.io/serviceaccount/uid\" = \"14ee3fa4-a7e2-420f-9f9a-dbc4507c3798\"";
    let flat = sample("kubernetes")
        .without("kubernetes.io")
        .with("/kubernetes.io/serviceaccount/uid", "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798");
    table(&set("kubernetes", account), "i", &sample("kubernetes"), &[("nested claim", &[], "allow")]);
    table(&set("kubernetes", account), "i", &flat, &[("a flat claim with the pointer's name", &[], NO)]);
    let phase = "terraform_workspace_id = \"ws-7890AbCdEfGhIjKl\"\nterraform_run_phase = \"apply\"";
    let plan: &[Row<'_>] = &[("apply", &[], "allow"), ("plan", &[("terraform_run_phase", text("plan"))], "event_not_allowed")];
    table(&set("terraform", phase), "i", &sample("terraform"), plan);
}

/// What a refused job is told of the veto that struck it, be the claim a text or a boolean.
#[test]
fn a_veto_is_told_with_what_the_token_says() {
    let hints = |changes: &[(&str, Json)]| {
        let mut claims = sample("circleci");
        for (claim, value) in changes {
            claims.put(claim, value.clone());
        }
        let set = loaded(set_at("docs/policy/06-fork-safety"));
        both(&set, &ask("circleci", &claims, Some("docs-publish"))).unwrap_err().hints.concat()
    };
    assert!(hints(&[("oidc.circleci.com/ssh-rerun", true.into())]).contains("ssh-rerun is true"));
    assert!(hints(&[("oidc.circleci.com/ssh-rerun", Json::Null)]).contains("has no oidc.circleci.com/ssh-rerun"));
    assert!(hints(&[("oidc.circleci.com/vcs-ref", text("refs/pull/7/head"))]).contains("vcs-ref is refs/pull/7/head"));
}

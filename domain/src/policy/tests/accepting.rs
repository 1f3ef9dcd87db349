use super::*;

const ROW: &str = "repository_id = \"637712\"\nenvironment = \"production\"\n";
const ACCEPT: &str = "accept = { environment-without-ref = \"the environment takes main only\" }\n";

#[test]
fn accepting_changes_the_hash_and_no_decision() {
    let (plain, accepting) = (loaded(with_row(ROW)), loaded(with_row(&format!("{ROW}{ACCEPT}"))));
    assert_ne!(plain.hash(), accepting.hash());
    assert_eq!(accepting.hash(), loaded(print(&accepting)).hash());
    let other = ACCEPT.replace("main only", "main and next");
    assert_ne!(accepting.hash(), loaded(with_row(&format!("{ROW}{other}"))).hash());
    let sample = plain.issuer("github").unwrap().kind.sample();
    for claims in [sample.clone(), sample.with("environment", "production")] {
        let ask = ask("github", &claims, Some("deploy"));
        assert_eq!(both(&plain, &ask), both(&accepting, &ask));
    }
}

#[test]
fn issuers_roles_rows_and_credentials_accept() {
    let text = format!(
        "{ISSUERS}accept = {{ bare-audience = \"a\" }}\n[role.r]\naccept = {{ long-ttl = \"b\" }}\n[[role.r.allow]]\nissuer = \"github\"\n{ROW}{ACCEPT}\
         [role.r.credential.c]\nengine = \"kv\"\npath = \"p/q\"\naccept = {{ all-secrets = \"c\" }}\n"
    );
    let set = loaded(one(&text));
    assert_eq!(set.hash(), loaded(print(&set)).hash());
    for (reason, other) in [("\"a\"", "\"x\""), ("\"b\"", "\"x\""), ("\"c\"", "\"x\""), ("main only", "main")] {
        assert_eq!(text.matches(reason).count(), 1, "{reason}");
        assert_ne!(set.hash(), loaded(one(&text.replace(reason, other))).hash(), "{reason}");
    }
}

#[test]
fn only_lints_are_accepted_and_only_with_a_reason() {
    let found = problems(with_row(&format!("{ROW}accept = {{ environment-witout-ref = \"x\", long-ttl = \" \" }}\n")));
    let told: Vec<(&str, Option<&str>)> = found.iter().map(|problem| (problem.rule, problem.help.as_deref())).collect();
    assert_eq!(
        told,
        [("unknown-lint", Some("did you mean `environment-without-ref`?")), ("accept-reason", None)],
        "{}",
        lines(&found)
    );
    assert_eq!((found[0].line, found[0].column), (11, 12));
    assert_eq!(problems(with_row(&format!("{ROW}accept = true\n")))[0].rule, "wrong-type");
    // The two rules of the loader are waived, since that is part of what a row says.
    assert_eq!(problems(with_row(&format!("{ROW}accept = {{ no-project-pin = \"x\" }}\n")))[0].rule, "unknown-lint");
}

#[test]
fn an_error_stands_against_a_set_until_it_is_accepted_and_a_warning_when_asked() {
    let operators = |row: &str| {
        let rights = "engine = \"operator\"\nrights = [\"audit.read\"]\n";
        let [mut file] = <[SourceFile; 1]>::try_from(with_row(row)).unwrap();
        file.text = file.text.replace("engine = \"kv\"\npath = \"shop/registry\"\n", rights);
        check(vec![file])
    };
    let row = "repository_id = \"637712\"\nref = \"refs/heads/main\"\n";
    let refused = operators(row);
    assert!(!refused.is_sound(false) && refused.set.is_some());
    assert_eq!(refused.errors().iter().map(|problem| problem.rule).collect::<Vec<_>>(), ["operator-without-environment"]);
    let accepted = operators(&format!("{row}accept = {{ operator-without-environment = \"two people merge\" }}\n"));
    assert!(accepted.is_sound(true) && accepted.findings().len() == 1);
    let warned = check(with_row(ROW));
    assert!(warned.is_sound(false) && !warned.is_sound(true) && warned.errors().is_empty());
}

#[test]
fn a_case_may_give_a_whole_token() {
    let set = |case: &str| {
        let [mut file] = <[SourceFile; 1]>::try_from(with_row(ROW)).unwrap();
        file.text.push_str("[[case]]\nname = \"whole\"\nissuer = \"github\"\nrole = \"deploy\"\n");
        file.text.push_str(case);
        vec![file]
    };
    // Nothing of the sample is in it, so that the veto of a missing runner strikes.
    let bare = "token = { repository_id = \"637712\", environment = \"production\", event_name = \"push\" }\n";
    let bare_denied = check(set(&format!("{bare}expect = \"deny\"\ncode = \"runner_not_allowed\"\n")));
    assert!(bare_denied.cases[0].passed, "{:?}", bare_denied.cases);
    let whole = bare.replace(" }", ", runner_environment = \"github-hosted\", iat = 7 }");
    let report = check(set(&format!("{whole}expect = \"allow\"\n")));
    assert!(report.cases[0].passed, "{:?}", report.cases);
    let loaded_set = report.set.unwrap();
    assert_eq!(loaded_set.hash(), loaded(print(&loaded_set)).hash());
    assert_ne!(loaded_set.hash(), loaded(set(&format!("{}expect = \"allow\"\n", whole.replace("token", "claims")))).hash());
    let both = problems(set(&format!("{whole}claims = {{}}\nexpect = \"allow\"\n")));
    assert_eq!(both.iter().map(|problem| problem.rule).collect::<Vec<_>>(), ["case"], "{}", lines(&both));
    let unknown = problems(set("token = { repositry_id = \"1\", run_id = 7 }\nexpect = \"deny\"\n"));
    assert_eq!(
        unknown.iter().map(|problem| problem.rule).collect::<Vec<_>>(),
        ["unknown-claim", "wrong-type"],
        "{}",
        lines(&unknown)
    );
}

#[test]
fn a_whole_token_nests_as_tokens_do() {
    let set = |token: &str| {
        one(&format!(
            "[issuer.own]\nkind = \"generic\"\nurl = \"https://id.example.com\"\naudience = \"https://daypass.example.com\"\nrequired = [\"/build~1job/id\"]\n\
             claims = {{ \"/build~1job/id\" = {{ class = \"immutable\" }}, \"/build~1job/tries\" = {{ type = \"integer\" }} }}\n\
             job = {{ project = \"/build~1job/id\" }}\n\
             [[role.r.allow]]\nissuer = \"own\"\n\"/build~1job/id\" = \"7\"\nwaive = {{ no-code-gate = \"a service\" }}\n\
             [role.r.credential.c]\nengine = \"kv\"\npath = \"a\"\n\
             [[case]]\nname = \"x\"\nissuer = \"own\"\nrole = \"r\"\nexpect = \"allow\"\ntoken = {{ {token} }}\n"
        ))
    };
    let report = check(set("\"build/job\" = { id = \"7\", tries = 2, more = [true] }"));
    assert!(report.problems.is_empty() && report.cases[0].passed, "{:?}", report.errors());
    let found = problems(set("\"build/job\" = { id = \"7\", tries = \"2\" }"));
    assert_eq!(found.iter().map(|problem| problem.rule).collect::<Vec<_>>(), ["wrong-type"], "{}", lines(&found));
    let found = problems(set("\"build/jib\" = { id = \"7\" }"));
    assert_eq!(found.iter().map(|problem| problem.rule).collect::<Vec<_>>(), ["unknown-claim"], "{}", lines(&found));
}

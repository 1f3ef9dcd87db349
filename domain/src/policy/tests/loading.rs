use super::*;

/// Loads a set that has exactly the expected problems: rule, and a piece of the message or help.
fn refused(files: Vec<SourceFile>, expected: &[(&str, &str)]) {
    let found = problems(files);
    assert_eq!(found.len(), expected.len(), "{}", lines(&found));
    for (rule, piece) in expected {
        let told = found.iter().any(|problem| problem.rule == *rule && problem.to_string().contains(piece));
        assert!(told, "no {rule} with {piece:?} in\n{}", lines(&found));
    }
}

const PINS: &str = "repository_id = \"1\"\nref = \"refs/heads/main\"\n";

#[test]
fn tells_every_problem_at_once_with_its_place() {
    let text = format!(
        "{ISSUERS}\n[role.deploy]\nttl = 900\nsesion_ttl = \"1h\"\n[[role.deploy.allow]]\nissuer = \"github\"\n{PINS}enviroment = \"prod\"\n\
         [role.deploy.credential.x]\nengine = \"postgre\"\n"
    );
    let found = problems(one(&text));
    let places: Vec<(usize, usize, &str)> = found.iter().map(|problem| (problem.line, problem.column, problem.rule)).collect();
    assert_eq!(
        places,
        [(8, 7, "wrong-type"), (9, 1, "unknown-key"), (14, 1, "unknown-claim"), (16, 10, "unknown-engine")],
        "{}",
        lines(&found)
    );
    assert_eq!(found[1].help.as_deref(), Some("did you mean `session_ttl`?"));
    assert_eq!(found[2].help.as_deref(), Some("did you mean `environment`?"));
    assert_eq!(found[3].help.as_deref(), Some("did you mean `postgres`?"));
    assert_eq!((found[3].end_line, found[3].end_column), (16, 19));
}

#[test]
fn columns_count_characters() {
    let found = problems(one("[issuer.github]\nkind = \"github\" # ü\nüx = 1\n"));
    assert!(found.iter().any(|problem| (problem.line, problem.column) == (3, 1)), "{}", lines(&found));
}

#[test]
fn refuses_doubled_and_unknown_names() {
    refused(with_row(&format!("{PINS}ref = \"refs/heads/x\"\n")), &[("toml", "duplicate key")]);
    // A doubled key, known by the parser's own words, keeps nobody from reading on.
    refused(
        with_row(&format!("{PINS}ref = \"refs/heads/x\"\nnonsense = \"x\"\n")),
        &[("toml", "duplicate key"), ("unknown-claim", "nonsense")],
    );
    refused(one("[isuer.github]\n"), &[("unknown-key", "did you mean `issuer`?")]);
    refused(with_row(&format!("{PINS}nonsense = \"x\"\n")), &[("unknown-claim", "nonsense")]);
    refused(with_row(&format!("{PINS}event = \"push\"\n")), &[("unknown-claim", "did you mean `event_name`?")]);
    refused(with_row(&format!("{PINS}aud = \"x\"\n")), &[("registered-claim", "aud")]);
    refused(with_row(&format!("{PINS}repo_property_ = \"x\"\n")), &[("unknown-claim", "repo_property_")]);
    refused(one(ISSUERS), &[("unused-issuer", "github")]);
}

#[test]
fn a_role_stands_in_one_file() {
    let mut files = with_row(PINS);
    let mut again = with_row(PINS).remove(0);
    again.text = again.text.replace(ISSUERS, "");
    again.path = "again.toml".to_owned();
    files.push(again);
    refused(files, &[("duplicate-role", "set.toml")]);
}

#[test]
fn coerces_nothing() {
    refused(with_row("ref = \"refs/heads/main\"\nrepository_id = 637712\n"), &[("wrong-type", "\"637712\"")]);
    refused(with_row(&format!("{PINS}ref_protected = true\n")), &[("wrong-type", "the string \"true\"")]);
    refused(with_row(&format!("{PINS}event_name = [\"push\", 1]\n")), &[("wrong-type", "string")]);
    refused(with_row(&format!("{PINS}event_name = []\n")), &[("empty-list", "event_name")]);
    refused(with_row(&format!("{PINS}event_name = 1979-05-27\n")), &[("wrong-type", "event_name")]);
}

#[test]
fn absent_is_for_optional_claims_only() {
    assert!(problems(with_row(&format!("{PINS}environment = {{ absent = true }}\n"))).is_empty());
    refused(with_row(&format!("{PINS}event_name = {{ absent = true }}\n")), &[("absent", "event_name")]);
    refused(with_row(&format!("{PINS}environment = {{ absent = false }}\n")), &[("operator", "present = true")]);
    refused(with_row(&format!("{PINS}environment = {{ present = true, glob = \"x\" }}\n")), &[("operator", "exactly one")]);
    refused(with_row(&format!("{PINS}environment = {{ regex = \"x\" }}\n")), &[("unknown-key", "regex")]);
    refused(with_row(&format!("{PINS}environment = {{ glob = \"**/x\" }}\n")), &[("glob", "trailing path")]);
}

#[test]
fn refuses_rows_without_a_pin_or_a_gate() {
    refused(with_row("ref = \"refs/heads/main\"\n"), &[("no-project-pin", "repository_id")]);
    refused(with_row("ref = \"refs/heads/main\"\nrepository = \"acme/shop\"\n"), &[("no-project-pin", "row 1")]);
    refused(with_row("ref = \"refs/heads/main\"\nrepository_owner_id = \"9\"\n"), &[("no-project-pin", "row 1")]);
    refused(with_row("ref = \"refs/heads/main\"\nrepository_id = { glob = \"*\" }\n"), &[("no-project-pin", "row 1")]);
    refused(with_row("repository_id = \"1\"\n"), &[("no-code-gate", "environment")]);
    for open in [
        "ref = { glob = \"**\" }",
        "ref = { glob = \"refs/heads/*\" }",
        "ref = { present = true }",
        "ref_protected = \"false\"",
        "environment = { absent = true }",
        "environment = [\"prod\", \"\"]",
        "ref = { glob = \"refs/h*/**\" }",
        "ref = { glob = \"ref*/heads/*\" }",
        "ref = { glob = \"*efs/heads/**\" }",
        "ref = { glob = \"refs/t*/*\" }",
        "ref = { glob = \"refs/h*/*/*\" }",
        "environment = { glob = \"**\" }",
    ] {
        refused(with_row(&format!("repository_id = \"1\"\n{open}\n")), &[("no-code-gate", "row 1")]);
    }
    for gate in [
        "ref = { glob = \"refs/tags/v*\" }",
        "ref = { glob = \"refs/heads/z*\" }",
        "ref = { glob = \"refs/heads/release/**\" }",
        "ref_protected = \"true\"",
        "environment = \"prod\"",
        "environment = { glob = \"prod-*\" }",
    ] {
        assert!(problems(with_row(&format!("repository_id = \"1\"\n{gate}\n"))).is_empty(), "{gate}");
    }
}

#[test]
fn on_gitlab_a_name_that_any_job_can_have_is_no_gate() {
    let row = |gate: &str| {
        one(&format!(
            "[issuer.gitlab]\nkind = \"gitlab\"\nurl = \"https://gitlab.com\"\naudience = \"x\"\n[[role.r.allow]]\nissuer = \"gitlab\"\n\
             project_id = \"4242\"\n{gate}\n[role.r.credential.c]\nengine = \"kv\"\npath = \"a\"\n"
        ))
    };
    for open in ["ref = \"main\"", "environment = \"production\""] {
        refused(row(open), &[("no-code-gate", "ref_path")]);
    }
    for gate in ["ref_path = \"refs/heads/main\"", "ref_protected = \"true\"", "environment_protected = \"true\""] {
        assert!(problems(row(gate)).is_empty(), "{gate}");
    }
}

#[test]
fn rules_are_waived_by_name_and_reason() {
    let waived = "waive = { no-project-pin = \"all of acme\", no-code-gate = \"reads only\" }\nrepository_owner_id = \"9\"\n";
    assert!(problems(with_row(waived)).is_empty());
    refused(with_row(&format!("{PINS}waive = {{ self-hosted-runner = \" \" }}\n")), &[("waiver-reason", "self-hosted-runner")]);
    refused(
        with_row(&format!("{PINS}waive = {{ self-hosted-runer = \"farm\" }}\n")),
        &[("unknown-key", "did you mean `self-hosted-runner`?")],
    );
    refused(with_row(&format!("{PINS}waive = {{ self-hosted-runner = true }}\n")), &[("wrong-type", "a string")]);
}

#[test]
fn checks_credentials_before_anyone_asks() {
    let set = |credential: &str| {
        one(&format!("{ISSUERS}\n[[role.deploy.allow]]\nissuer = \"github\"\n{PINS}[role.deploy.credential.x]\n{credential}\n"))
    };
    let arn = "engine = \"aws\"\nrole_arn = \"arn:aws:iam::123456789012:role/x\"\n";
    assert!(problems(set(arn)).is_empty());
    refused(set("engine = \"aws\"\n"), &[("missing-key", "role_arn")]);
    refused(set("engine = \"aws\"\nrole_arn = \"arn:aws:iam::12:role/x\"\n"), &[("parameter", "twelve digits")]);
    refused(set("engine = \"aws\"\nrole_arn = \"arn:aws:iam::{repository_id}:role/x\"\n"), &[("parameter", "twelve digits")]);
    refused(set(&format!("{arn}session_tags = {{ r = \"{{repositry}}\" }}\n")), &[("template", "did you mean `repository`?")]);
    refused(set(&format!("{arn}session_tags = {{ r = \"{{repository\" }}\n")), &[("template", "no template")]);
    refused(set(&format!("{arn}external_id = \"{{repository}}\"\n")), &[("template", "takes no claims")]);
    refused(set(&format!("{arn}session_policy = \"{{\"\n")), &[("parameter", "JSON policy document")]);
    refused(set(&format!("{arn}session_policy = '{{\"Statement\": {{run_id}}}}'\n")), &[("parameter", "JSON policy document")]);
    assert!(
        problems(set(&format!("{arn}session_policy = '{{\"Resource\": \"arn:aws:s3:::b/{{repository_id}}/*\"}}'\n"))).is_empty()
    );
    refused(set(&format!("{arn}sesion_tags = {{}}\n")), &[("unknown-key", "did you mean `session_tags`?")]);
    refused(set(&format!("{arn}ttl = \"5m\"\n")), &[("ttl", "15m")]);
    refused(set("engine = \"postgres\"\nconnection = \"shop; drop\"\nstatements = \"rw\"\n"), &[("parameter", "connection")]);
    refused(set("engine = \"kv\"\npath = \"shop/../x\"\n"), &[("parameter", "path")]);
    refused(set("engine = \"kv\"\npath = \"/shop\"\n"), &[("parameter", "path")]);
    refused(set("engine = \"kv\"\npath = \"shop/**/x\"\n"), &[("parameter", "trailing path")]);
    refused(set("engine = \"kv\"\npath = \"shop/*\"\nversion = 3\n"), &[("parameter", "version")]);
    refused(set("engine = \"kv\"\npath = \"shop\"\naccess = [\"reed\"]\n"), &[("parameter", "access")]);
    refused(set("engine = \"operator\"\nrights = [\"secrets.reed\"]\n"), &[("parameter", "did you mean `secrets.read`?")]);
    refused(set("engine = \"operator\"\nrights = [\"audit.read:x\"]\n"), &[("parameter", "cannot be narrowed")]);
}

#[test]
fn issuers_are_checked() {
    let set = |issuer: &str| {
        let mut files = with_row(PINS);
        files[0].text = files[0].text.replace(ISSUERS, issuer);
        files
    };
    let issuer = |lines: &str| format!("[issuer.github]\n{lines}\n");
    let url = "url = \"https://token.actions.githubusercontent.com\"";
    let audience = "audience = \"https://daypass.example.com\"";
    refused(set(&issuer(&format!("kind = \"githab\"\n{url}\n{audience}"))), &[("issuer-kind", "did you mean `github`?")]);
    refused(set(&issuer(&format!("kind = \"github\"\n{audience}"))), &[("missing-key", "url")]);
    refused(set(&issuer(&format!("kind = \"github\"\n{url}"))), &[("missing-key", "audience")]);
    refused(set(&issuer(&format!("kind = \"github\"\n{url}\naudience = [\"a\"]"))), &[("wrong-type", "a string")]);
    refused(
        set(&issuer(&format!("kind = \"github\"\n{url}\naudience = \"https://github.com/acme\""))),
        &[("audience", "default audience")],
    );
    assert!(
        problems(set(&issuer(&format!("kind = \"github\"\n{url}\naudience = \"https://github.company.example\"")))).is_empty()
    );
    refused(set(&issuer(&format!("kind = \"github\"\nurl = \"http://x.example\"\n{audience}"))), &[("issuer-url", "https")]);
    refused(
        set(&issuer(&format!("kind = \"github\"\n{url}\n{audience}\nalgorithms = [\"HS256\"]"))),
        &[("algorithm", "did you mean")],
    );
    refused(set(&issuer(&format!("kind = \"github\"\n{url}\n{audience}\nalgorithms = [\"none\"]"))), &[("algorithm", "none")]);
    refused(set(&issuer(&format!("kind = \"github\"\n{url}\n{audience}\nclaims = {{}}"))), &[("unknown-key", "claims")]);
    refused(
        set(&issuer(&format!("kind = \"github\"\n{url}\n{audience}\nmax_token_age = \"0s\""))),
        &[("duration", "more than nothing")],
    );
    refused(
        set(&issuer(&format!("kind = \"github\"\n{url}\n{audience}\njwks_file = \"k\"\njwks_url = \"https://x.example/k\""))),
        &[("jwks-source", "one source")],
    );
}

#[test]
fn a_generic_schema_is_checked() {
    let set = |schema: &str| {
        one(&format!(
            "[issuer.own]\nkind = \"generic\"\nurl = \"https://id.example.com/\"\naudience = \"https://daypass.example.com\"\n{schema}\n\
             [[role.x.allow]]\nissuer = \"own\"\nsub = \"svc\"\nwaive = {{ no-code-gate = \"a service\" }}\n\
             [role.x.credential.s]\nengine = \"kv\"\npath = \"a\"\n"
        ))
    };
    let good = "job = { project = \"sub\" }\nclaims.sub = { class = \"immutable\" }";
    assert!(problems(set(good)).is_empty(), "{}", lines(&problems(set(good))));
    refused(set("job = { project = \"sub\" }\nclaims.sub = { class = \"admin\" }"), &[("no-project-pin", "row 1")]);
    refused(
        set("job = { project = \"sup\" }\nclaims.sub = {}"),
        &[("unknown-claim", "did you mean `sub`?"), ("no-project-pin", "row 1")],
    );
    refused(set(&format!("{good}\nclaims.exp = {{}}")), &[("registered-claim", "exp")]);
    refused(set(&format!("{good}\nclaims.n = {{ type = \"strng\" }}")), &[("unknown-word", "did you mean `string`?")]);
    refused(set(&format!("{good}\nrequired = [\"nope\"]")), &[("unknown-claim", "nope")]);
}

#[test]
fn invariants_and_cases_are_typed() {
    let set = |rest: &str| {
        let mut files = with_row(PINS);
        files[0].text.push_str(rest);
        files
    };
    let invariant = "[[invariant]]\nname = \"x\"\nissuer = \"github\"\n";
    assert!(problems(set(&format!("{invariant}never = {{ event_name = \"push\" }}\n"))).is_empty());
    refused(set(&format!("{invariant}never = {{ evnt_name = \"push\" }}\n")), &[("unknown-claim", "did you mean `event_name`?")]);
    refused(set(invariant), &[("invariant", "exactly one")]);
    refused(
        set(&format!("{invariant}never = {{ role = \"deplyo\", event_name = \"push\" }}\n")),
        &[("unknown-role", "did you mean `deploy`?")],
    );
    refused(set(&format!("{invariant}only = {{ role = \"deploy\" }}\n")), &[("invariant", "at least one claim")]);
    let case = "[[case]]\nname = \"x\"\nissuer = \"github\"\n";
    refused(set(&format!("{case}expect = \"alow\"\n")), &[("case", "did you mean `allow`?")]);
    refused(set(&format!("{case}expect = \"deny\"\ncode = \"event_not_alowed\"\n")), &[("unknown-code", "event_not_allowed")]);
    refused(set(&format!("{case}expect = \"deny\"\nclaims = {{ repository_id = 7 }}\n")), &[("wrong-type", "repository_id")]);
    refused(
        set(&format!("{case}expect = \"deny\"\nwithout = [\"environmen\"]\n")),
        &[("unknown-claim", "did you mean `environment`?")],
    );
    refused(
        set("[[case]]\nname = \"x\"\nissuer = \"githab\"\nexpect = \"deny\"\n"),
        &[("unknown-issuer", "did you mean `github`?")],
    );
    for expect in ["expect = \"allow\"", "expect = \"deny\"", "expect = \"deny\"\ncode = \"event_not_allowed\""] {
        let near = "did you mean `deploy`?";
        refused(set(&format!("{case}role = \"deplo\"\n{expect}\n")), &[("unknown-role", near)]);
        let wanted = format!("{case}role = \"deploy\"\ncredentials = [\"secrets\"]\n{expect}\n");
        refused(set(&wanted), &[("unknown-credential", "did you mean `secret`?")]);
    }
    let about_names = [("deplo", "secret", "role_not_allowed"), ("deploy", "secrets", "credential_unknown")];
    for (role, credential, code) in about_names {
        let rest = format!("role = \"{role}\"\ncredentials = [\"{credential}\"]\nexpect = \"deny\"\ncode = \"{code}\"\n");
        assert!(problems(set(&format!("{case}{rest}"))).is_empty(), "{code}");
    }
}

#[test]
fn a_torn_file_blames_no_other() {
    let mut files = with_row(PINS);
    let text = files[0].text.replace(ISSUERS, "");
    files[0].text = text;
    files.push(SourceFile { path: "issuers.toml".to_owned(), text: "[issuer.github\nkind = \"github\"\n".to_owned() });
    let found = problems(files);
    assert!(found.iter().all(|problem| problem.file == "issuers.toml" && problem.rule == "toml"), "{}", lines(&found));
    assert!(!found.is_empty());
}

#[test]
fn durations_are_read_one_way() {
    for (text, seconds) in [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("0s", 0)] {
        assert_eq!(duration::parse(text).unwrap().as_secs(), seconds);
        let printed = duration::print(std::time::Duration::from_secs(seconds));
        assert_eq!(duration::parse(&printed).unwrap().as_secs(), seconds);
    }
    for text in ["", "15", "m", "15 m", "-1s", "1.5h", "1m1h", "1h1h", "99999999999999999999s", "400d", "1H", "１s"] {
        assert!(duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_empty_set_believes_nobody() {
    let set = loaded(Vec::new());
    let claims = Claims::default();
    assert_eq!(both(&set, &ask("github", &claims, None)).unwrap_err().code.as_str(), "issuer_unknown");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    /// Whatever is torn out of the starter set or put into it, loading answers with a set or with places, and does not fall over.
    #[test]
    fn survives_damaged_files(which in 0_usize..8, at in 0.0_f64..1.0, take in 0_usize..40, put in "[\\[\\]{}=\"'a-z#\\n\u{fc}*:/,.0-9 ]{0,12}") {
        let mut files = starter();
        let index = which % files.len();
        let file = &mut files[index];
        let signs: Vec<char> = file.text.chars().collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        let from = (signs.len() as f64 * at) as usize;
        file.text = signs[..from].iter().copied().chain(put.chars()).chain(signs.iter().skip(from + take).copied()).collect();
        match PolicySet::load(files.clone()) {
            Ok(set) => {
                proptest::prop_assert_eq!(set.hash(), loaded(print(&set)).hash());
                proptest::prop_assert_eq!(run_cases(&set).len(), set.cases().len());
            }
            Err(problems) => {
                proptest::prop_assert!(!problems.is_empty());
                for problem in problems {
                    let lines = files.iter().find(|file| file.path == problem.file).map(|file| file.text.lines().count() + 1);
                    proptest::prop_assert!(lines.is_some_and(|lines| (1..=lines).contains(&problem.line)), "{}", problem);
                }
            }
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_told_once_and_not_for_everyone_who_names_what_it_holds() {
    let without = |file: &str| problems(starter().into_iter().filter(|other| other.path != file).collect());
    let [none] = &without("issuers.toml")[..] else { panic!("{}", lines(&without("issuers.toml"))) };
    assert_eq!(none.rule, "unknown-issuer");
    assert!(none.message.starts_with("no issuer is defined, and ") && none.message.ends_with(" places name one"), "{none}");
    assert!(none.help.as_ref().unwrap().ends_with("named are deploy-service, github, gitlab"), "{none}");

    let told = without("shop.toml");
    let roles: Vec<&Problem> = told.iter().filter(|problem| problem.rule == "unknown-role").collect();
    let [prod, gitlab] = &roles[..] else { panic!("{}", lines(&told)) };
    assert!(prod.message.starts_with("the role `shop-deploy-prod` does not exist, and "), "{prod}");
    assert!(gitlab.message.starts_with("the role `shop-gitlab-deploy` does not exist, and "), "{gitlab}");
    assert!(told.len() <= 4, "{}", lines(&told));

    let mut slip = starter();
    for file in &mut slip {
        file.text = file.text.replacen("issuer = \"gitlab\"\n", "issuer = \"gitlabb\"\n", 1);
    }
    let told = problems(slip);
    assert!(told.iter().any(|problem| problem.message == "there is no issuer `gitlabb`"), "{}", lines(&told));
    assert!(told.iter().all(|problem| problem.help.as_deref() == Some("did you mean `gitlab`?")), "{}", lines(&told));
}

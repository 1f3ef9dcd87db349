use super::*;

#[test]
fn the_starter_set_is_clean() {
    let report = check(starter());
    assert!(report.problems.is_empty(), "{}", lines(&report.problems));
    assert!(report.is_sound(true), "{}", lines(&report.errors()));
    assert_eq!(report.findings(), [], "the starter set is an example: it accepts nothing either");
    assert_eq!(report.cases.len(), report.set.as_ref().unwrap().cases().len());
    assert_eq!(report.proofs.iter().filter(|proof| proof.holds()).count(), 3);
}

#[test]
fn the_case_that_the_page_about_checking_shows_holds_beside_the_starter_set() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checking.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown: Vec<&str> = blocks.filter(|block| block.contains("[[case]]")).collect();
    assert_eq!(shown.len(), 1);
    let mut files = starter();
    files.push(SourceFile { path: "cases/shown.toml".to_owned(), text: shown.concat() });
    let report = check(files);
    assert!(report.is_sound(true), "{}", lines(&report.errors()));
    let case = report.cases.iter().find(|case| case.place.file == "cases/shown.toml").unwrap();
    assert!(case.passed && case.expected == "allow", "{case:?}");
}

#[test]
fn a_job_on_main_gets_its_three_credentials() {
    let set = loaded(starter());
    let claims = set.issuer("github").unwrap().kind.sample().with("environment", "production");
    let allowed = both(&set, &ask("github", &claims, Some("shop-deploy-prod"))).unwrap();
    let names: Vec<&str> = allowed.credentials.iter().map(|planned| planned.name.as_str()).collect();
    assert_eq!(names, ["cloud", "database", "registry"]);
    let cloud = &allowed.credentials[0];
    assert_eq!(cloud.params["session_tags"]["repository"], "acme/shop");
    assert_eq!(cloud.params["session_name"], "shop-18032711405-1");
    assert_eq!((cloud.ttl.as_secs(), cloud.ttl_limited_by), (1800, "role"));
    assert!(allowed.rights.is_empty());
}

#[test]
fn naming_no_role_finds_the_only_one() {
    let set = loaded(starter());
    let claims = set.issuer("gitlab").unwrap().kind.sample();
    let allowed = both(&set, &ask("gitlab", &claims, None)).unwrap();
    assert_eq!(allowed.role, "shop-gitlab-deploy");
}

#[test]
fn operators_get_rights_and_no_credential() {
    let set = loaded(starter());
    let claims = set.issuer("github").unwrap().kind.sample();
    let claims =
        claims.with("repository_id", "640001").with("event_name", "workflow_dispatch").with("environment", "broker-operators");
    let allowed = both(&set, &ask("github", &claims, Some("operators"))).unwrap();
    assert!(allowed.credentials.is_empty());
    assert!(crate::credentials::operator::allows(&allowed.rights, "secrets.write", Some("shop/registry")));
    let named = ["rights".to_owned()];
    let named = both(&set, &Ask { credentials: &named, ..ask("github", &claims, Some("operators")) }).unwrap();
    assert_eq!(named, allowed);
}

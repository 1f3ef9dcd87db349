//! The schema for editors: current, in agreement with the loader about the starter set, and strict about what is plainly wrong.

use jsonschema::Validator;
use serde_json::Value as Json;

use super::super::schema::{PATH, schema};
use super::*;

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

fn json(text: &str) -> Json {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn told(validator: &Validator, text: &str) -> Vec<String> {
    validator.iter_errors(&json(text)).map(|error| format!("{} {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_in_the_checkout_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PATH);
    let written: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(written == schema(), "{PATH} is out of date: run ./dev generate");
    assert!(jsonschema::draft7::meta::is_valid(&written));
}

#[test]
fn the_starter_set_fits_the_schema_and_names_it() {
    let validator = validator();
    for file in starter() {
        assert_eq!(told(&validator, &file.text), Vec::<String>::new(), "{}", file.path);
        let up = "../".repeat(file.path.matches('/').count());
        let line = format!("#:schema {}schema/policy.json", if up.is_empty() { "./" } else { &up });
        assert_eq!(file.text.lines().next(), Some(line.as_str()), "{}", file.path);
    }
}

#[test]
fn what_is_plainly_wrong_does_not_fit() {
    let validator = validator();
    let row = |row: &str| {
        format!("[[role.r.allow]]\nissuer = \"github\"\n{row}\n[role.r.credential.c]\nengine = \"kv\"\npath = \"a\"\n")
    };
    let good = row("repository_id = [\"1\", \"2\"]\nref = { glob = \"refs/heads/*\" }\nwaive = { pull-request = \"previews\" }");
    assert_eq!(told(&validator, &good), Vec::<String>::new());
    let credential = |text: &str| good.replace("engine = \"kv\"\npath = \"a\"", text);
    let issuer = |text: &str| format!("[issuer.i]\n{text}");
    let case = |text: &str| format!("[[case]]\nname = \"n\"\nissuer = \"i\"\n{text}");
    for wrong in [
        "[rolle.r]\nttl = \"1m\"\n".to_owned(),
        "[role.R.credential.c]\nengine = \"kv\"\npath = \"a\"\n".to_owned(),
        "[role.r]\nttl = \"15 minutes\"\n".to_owned(),
        good.replace("[[role.r.allow]]", "[[role.r.allows]]"),
        good.replace("issuer =", "issuers ="),
        row("repository_id = 1"),
        row("repository_id = []"),
        row("ref = { regex = \".*\" }"),
        row("ref = { glob = \"a\", present = true }"),
        row("ref = {}"),
        row("environment = { present = false }"),
        row("iss = \"x\""),
        row("build_number = \"1\""),
        row("\"oidc.circleci.com/ssh-rerun\" = \"false\""),
        row("waive = { pull-requests = \"x\" }"),
        row("waive = { pull-request = \" \" }"),
        row("waive = { pull-request = true }"),
        credential("engine = \"kvv\"\npath = \"a\""),
        credential("engine = \"kv\""),
        credential("path = \"a\""),
        credential("engine = \"kv\"\npath = \"a\"\nconnection = \"b\""),
        credential("engine = \"postgres\"\nconnection = \"b\"\nstatements = 1"),
        credential("engine = \"operator\"\nrights = [\"leases.stop\"]"),
        credential("engine = \"operator\"\nrights = [\"leases.read:x\"]"),
        issuer("kind = \"git-hub\"\nurl = \"https://x.example\"\naudience = \"a\""),
        issuer("kind = \"gitlab\"\nurl = \"http://x.example\"\naudience = \"a\""),
        issuer("kind = \"gitlab\"\nurl = \"https://x.example\""),
        issuer("kind = \"gitlab\"\nurl = \"https://x.example\"\naudience = [\"a\", \"b\"]"),
        issuer("kind = \"gitlab\"\nurl = \"https://x.example\"\naudience = \"a\"\nalgorithms = [\"HS256\"]"),
        issuer("kind = \"gitlab\"\nurl = \"https://x.example\"\naudience = \"a\"\nrequired = [\"sub\"]"),
        issuer("kind = \"generic\"\nurl = \"https://x.example\"\naudience = \"a\"\n[issuer.i.claims.sub]\nclass = \"owner\""),
        "[[invariant]]\nname = \"n\"\nissuer = \"i\"\n".to_owned(),
        "[[invariant]]\nname = \"n\"\nissuer = \"i\"\nnever = { ref = \"a\" }\nonly = { ref = \"a\" }\n".to_owned(),
        "[[owner]]\nroles = \"a\"\n".to_owned(),
        "[[owner]]\nfiles = \"a\"\naws_accounts = [\"123\"]\n".to_owned(),
        case("expect = \"refuse\""),
        case("expect = \"deny\"\ncode = \"nope\""),
        case("expect = \"allow\"\ncode = \"role_not_allowed\""),
    ] {
        assert_ne!(told(&validator, &wrong), Vec::<String>::new(), "{wrong}");
    }
    for fine in [
        credential("engine = \"operator\"\nrights = [\"leases.read\", \"secrets.read:shop/**\"]"),
        issuer("kind = \"generic\"\nurl = \"https://x.example\"\naudience = \"a\"\n[issuer.i.claims.sub]\nclass = \"immutable\""),
        row("service_id = \"a claim of a generic issuer\"\nrepo_property_tier = \"gold\"\n\"/kubernetes.io/namespace\" = \"ci\""),
        case("expect = \"deny\"\ncode = \"role_not_allowed\"\nclaims = { ref = \"x\" }"),
    ] {
        assert_eq!(told(&validator, &fine), Vec::<String>::new(), "{fine}");
    }
}

use super::kv::{Access, Params, reaches};
use super::operator::allows;
use super::template::{Site, Template, Unfilled};
use super::*;
use crate::claims::Claims;

#[test]
fn engines_are_found_by_their_names() {
    for engine in ENGINES {
        assert_eq!(by_name(engine.name()).unwrap().name(), engine.name());
        assert!(engine.bounds().ceiling.is_none_or(|ceiling| ceiling > engine.bounds().floor));
    }
    assert!(by_name("vault").is_none());
}

#[test]
fn a_glob_reaches_paths_below_it_in_the_ways_it_says() {
    let params = |path: &str, access: &[Access]| Params {
        mount: "secret".into(),
        path: path.into(),
        access: access.to_vec(),
        version: None,
    };
    let read = params("shop/*", &[Access::Read]);
    assert!(reaches(&read, "shop/registry", Access::Read));
    for path in ["shop/a/b", "shop/", "shop", "billing/x", "shop/..", "shop/*", "shop//x", "/shop/x", "shop/x\u{0}", "Shop/x"] {
        assert!(!reaches(&read, path, Access::Read), "{path}");
    }
    assert!(!reaches(&read, "shop/registry", Access::Write));
    let deep = params("shop/**", &[Access::Read, Access::Write]);
    assert!(reaches(&deep, "shop/a/b", Access::Write) && !reaches(&deep, "shop/a/../../billing", Access::Read));
    let exact = params("shop/registry", &[Access::Read]);
    assert!(reaches(&exact, "shop/registry", Access::Read) && !reaches(&exact, "shop/registry2", Access::Read));
}

#[test]
fn rights_hold_for_what_they_name() {
    let held = ["leases.revoke", "secrets.write:shop/*", "secrets.read"];
    assert!(allows(&held, "leases.revoke", None));
    assert!(allows(&held, "secrets.read", Some("billing/x")));
    assert!(allows(&held, "secrets.write", Some("shop/registry")));
    for (right, object) in [
        ("leases.read", None),
        ("secrets.write", Some("billing/x")),
        ("secrets.write", Some("shop/a/b")),
        ("secrets.write", None),
        ("secrets.delete", Some("shop/registry")),
        ("secrets.write:shop/*", Some("shop/registry")),
        ("secrets", None),
        ("", None),
    ] {
        assert!(!allows(&held, right, object), "{right} {object:?}");
    }
}

#[test]
fn parameters_have_one_normal_form() {
    let written = serde_json::json!({"path": "a", "access": ["write", "read", "read"]});
    let normal = kv::Kv.normal(written).unwrap();
    assert_eq!(normal, serde_json::json!({"mount": "secret", "path": "a", "access": ["read", "write"], "version": null}));
    assert!(kv::Kv.normal(serde_json::json!({"path": "a", "pth": 1})).is_err());
}

#[test]
fn policy_documents_keep_their_braces() {
    let text = r#"{"a": {"b": "{run_id}", "c": "${aws:username}", "d": "${run_id}"}, "e": {}}"#;
    let template = Template::parse(text, Site::Policy).unwrap();
    assert_eq!(template.claims().collect::<Vec<_>>(), ["run_id"]);
    let claims = Claims::default().with("run_id", "7");
    assert_eq!(template.fill(&claims).unwrap(), r#"{"a": {"b": "7", "c": "${aws:username}", "d": "${run_id}"}, "e": {}}"#);
}

#[test]
fn a_claim_brings_no_template_of_its_own() {
    let template = Template::parse("x-{a}", Site::Tag).unwrap();
    let claims = Claims::default().with("a", "{b}").with("b", "secret");
    assert_eq!(template.fill(&claims), Err(Unfilled::Sign { claim: "a".into(), sign: '{' }));
    for stray in ["{", "}", "{}", "{a b}", "a}b", "{a", "{{a}}", "{1}"] {
        assert!(Template::parse(stray, Site::Tag).is_err(), "{stray}");
    }
}

#[test]
fn tag_keys_that_differ_only_by_case_are_refused() {
    let params =
        serde_json::json!({"role_arn": "arn:aws:iam::123456789012:role/x", "session_tags": {"Run": "a", "Rz": "b", "run": "c"}});
    assert_eq!(aws::Aws.check(&params).len(), 1);
    let params =
        serde_json::json!({"role_arn": "arn:aws:iam::123456789012:role/x", "session_tags": {"aws:x": "a", "b": "\u{7}"}});
    assert_eq!(aws::Aws.check(&params).len(), 2);
    assert_eq!(aws::account("arn:aws:iam::123456789012:role/x"), Some("123456789012"));
}

#[test]
fn secrets_that_cannot_be_read_without_more_words_are_not_given_unasked() {
    for (params, given) in [
        (serde_json::json!({"path": "shop/registry"}), true),
        (serde_json::json!({"path": "shop/{ref}"}), true),
        (serde_json::json!({"path": "shop/*"}), false),
        (serde_json::json!({"path": "shop/registry", "access": ["write"]}), false),
    ] {
        let params = kv::Kv.normal(params).unwrap();
        assert_eq!(kv::Kv.is_given_unasked(&params), given, "{params}");
    }
}

#[test]
fn a_wrong_version_is_blamed_on_the_version() {
    for version in [0_u64, 5_000_000_000, 1 << 31] {
        let faults = kv::Kv.check(&serde_json::json!({"path": "a", "version": version}));
        assert_eq!(faults.iter().map(|fault| fault.field).collect::<Vec<_>>(), ["version"], "{version}");
    }
    assert!(kv::Kv.check(&serde_json::json!({"path": "a", "version": 7})).is_empty());
}

#[test]
fn a_right_can_speak_of_a_whole_mount() {
    let held = ["secrets.read:other:**"];
    assert!(operator::Operator.check(&serde_json::json!({"rights": held})).is_empty());
    assert!(allows(&held, "secrets.read", Some("other:shop/registry")));
    assert!(!allows(&held, "secrets.read", Some("shop/registry")));
}

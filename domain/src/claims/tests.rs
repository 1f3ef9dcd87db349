use proptest::prelude::*;

use super::*;

fn reason(text: &str) -> &'static str {
    parse(text.as_bytes(), Limits::TOKEN).map_or_else(|error| error.reason, |_| "accepted")
}

#[test]
fn refuses_duplicate_names_at_any_depth_and_through_escapes() {
    assert_eq!(reason(r#"{"a":1,"a":2}"#), "a name stands twice");
    assert_eq!(reason(r#"{"a":1,"\u0061":2}"#), "a name stands twice");
    assert_eq!(reason(r#"{"o":[{"a":1,"a":1}]}"#), "a name stands twice");
    assert_eq!(reason(r#"{"a":1,"A":2}"#), "accepted");
}

#[test]
fn refuses_what_is_too_deep_too_many_or_too_long() {
    assert_eq!(reason("[[[[[[[[]]]]]]]]"), "accepted");
    assert_eq!(reason("[[[[[[[[[]]]]]]]]]"), "nested too deeply");
    assert_eq!(reason(&format!("[{}]", vec!["1"; 256].join(","))), "accepted");
    assert_eq!(reason(&format!("[{}]", vec!["1"; 257].join(","))), "too many members");
    assert_eq!(reason(&format!("\"{}\"", "x".repeat(1025))), "a string is too long");
}

#[test]
fn refuses_what_is_not_json() {
    for text in [
        "",
        "{",
        "{} ",
        "\u{feff}{}",
        "{}x",
        "{a:1}",
        "{'a':1}",
        "[1,]",
        "01",
        "+1",
        "1e400",
        "NaN",
        "0x1f",
        "\"\\ud800\"",
        "/* */{}",
    ] {
        let expected = if text == "{} " { "accepted" } else { "a syntax error" };
        assert_eq!(reason(text), expected, "{text:?}");
    }
    assert_eq!(reason("\"\\u0000\""), "a string holds a control character");
    assert_eq!(reason("\"a\\nb\""), "a string holds a control character");
    assert!(parse(b"\"\xff\"", Limits::TOKEN).is_err());
}

#[test]
fn tells_integers_from_other_numbers() {
    let value = |text: &str| parse(text.as_bytes(), Limits::TOKEN).unwrap();
    assert_eq!(value("9223372036854775807"), Json::Int(i64::MAX));
    assert!(matches!(value("9223372036854775808"), Json::Number(_)));
    assert!(matches!(value("1.0"), Json::Number(_)));
    assert!(matches!(value("1e3"), Json::Number(_)));
}

#[test]
fn reaches_nested_claims_by_pointer() {
    let Json::Object(object) = parse(br#"{"kubernetes.io":{"pod":{"a/b":"x"}},"aud":["y"]}"#, Limits::TOKEN).unwrap() else {
        unreachable!()
    };
    let claims = Claims::from_verified(object);
    assert_eq!(claims.text("/kubernetes.io/pod/a~1b"), Some("x"));
    assert_eq!(claims.text("/aud/0"), Some("y"));
    assert_eq!(claims.text("kubernetes.io"), None);
    assert_eq!(claims.get("/absent/pod"), None);
}

proptest! {
    #[test]
    fn what_it_accepts_it_writes_and_reads_again(text in "\\PC{0,64}", number in any::<i64>(), flag in any::<bool>()) {
        let claims = Claims::default().with("text", text.as_str()).with("number", number).with("flag", flag);
        let written = serde_json::to_vec(&claims).unwrap();
        prop_assert_eq!(parse(&written, Limits::TOKEN).unwrap(), Json::Object(claims.object().clone()));
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes, Limits::TOKEN);
    }
}

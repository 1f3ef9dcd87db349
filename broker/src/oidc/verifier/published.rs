//! The decision vectors of public test suites, section by section, as far as the verifier decides them (the policy's are in
//! the domain, `policy/tests/published.rs`). Each row has the name of its vector. What takes the key cache is tested
//! beside it (`oidc/keys/tests.rs`: outages, floods of unknown key ids, withdrawn and malformed keys), what takes the
//! store beside the exchange (a token used twice, by many replicas at once).

use domain::refusal::Class;
use serde_json::{Value, json};

use super::tests::{Bench, NOW, Set, TestKind, URL, decide};
use super::*;
use crate::crypto::jws::KeySet;
use crate::crypto::jws::tests::{Signer, jwks};

const GOOD: Result<(), Code> = Ok(());
const MALFORMED: Result<(), Code> = Err(Code::TokenMalformed);
const INVALID: Result<(), Code> = Err(Code::TokenInvalid);
const INCOMPLETE: Result<(), Code> = Err(Code::ClaimsIncomplete);
const AUDIENCE: Result<(), Code> = Err(Code::AudienceMismatch);
const EXPIRED: Result<(), Code> = Err(Code::TokenExpired);
const EARLY: Result<(), Code> = Err(Code::TokenNotYetValid);

fn outcome(bench: &Bench, token: &str) -> Result<(), Code> {
    bench.present(token, true).map(|_| ()).map_err(|refused| refused.refusal.code)
}

/// A token of the bench's issuer with one claim changed; null takes it away.
fn with(bench: &Bench, claim: &str, value: Value) -> String {
    let mut claims = Bench::claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
        value => claims[claim] = value,
    }
    bench.signer.token(&claims)
}

/// 7.2: octo-sts, CheckToken: audiences and issuers.
#[test]
fn section_7_2_audiences() {
    let bench = Bench::new();
    for (name, claim, value, expected) in [
        ("audience is the service", "aud", json!("https://broker.test"), GOOD),
        ("audience is the default of the CI system", "aud", json!("https://github.com/acme"), AUDIENCE),
        ("none of two audiences fits", "aud", json!(["a", "b"]), AUDIENCE),
        ("one of several audiences fits", "aud", json!(["https://broker.test", "b"]), AUDIENCE),
        ("audience as a pattern", "aud", json!("https://broker.*"), AUDIENCE),
        (".org instead of .com", "iss", json!("https://ci.example.org"), Err(Code::IssuerUnknown)),
    ] {
        assert_eq!(outcome(&bench, &with(&bench, claim, value)), expected, "{name}");
    }
}

/// 7.5: crates.io, its names of decisions.
#[test]
fn section_7_5_reasons() {
    let bench = Bench::new();
    let good = bench.signer.token(&Bench::claims());
    let claims = Bench::claims().to_string();
    for (name, token, expected) in [
        ("happy path", good.clone(), GOOD),
        ("broken JWT", "broken".to_owned(), MALFORMED),
        ("broken JWT: two parts", good.rsplit_once('.').unwrap().0.to_owned(), MALFORMED),
        ("unsupported issuer", with(&bench, "iss", json!("https://elsewhere.test")), Err(Code::IssuerUnknown)),
        ("missing kid", bench.signer.raw(r#"{"alg":"ES256","typ":"JWT"}"#, &claims), MALFORMED),
        ("unknown kid", Signer::new("other").token(&Bench::claims()), INVALID),
        ("wrong audience", with(&bench, "aud", json!("somewhere-else")), AUDIENCE),
        ("malformed repository claim", with(&bench, "project", json!(["7"])), INCOMPLETE),
        ("malformed owner id", with(&bench, "project", json!(7)), INCOMPLETE),
    ] {
        assert_eq!(outcome(&bench, &token), expected, "{name}");
    }
    // A failure of the key store is no refusal of the caller.
    assert_eq!(Code::KeysUnavailable.class(), Class::Unavailable);
}

/// 7.7: Conjur, its security scenarios.
#[test]
fn section_7_7_signatures() {
    let bench = Bench::new();
    let claims = Bench::claims().to_string();
    let header = |header: &str| bench.signer.raw(header, &claims);
    let (input, _) = bench.signer.token(&Bench::claims()).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    for (name, token, expected) in [
        ("none algorithm", header(r#"{"alg":"none","typ":"JWT","kid":"k"}"#), INVALID),
        ("no signature at all", format!("{input}."), MALFORMED),
        ("asymmetric to symmetric", header(r#"{"alg":"HS256","typ":"JWT","kid":"k"}"#), INVALID),
        ("another algorithm of the same family", header(r#"{"alg":"ES384","typ":"JWT","kid":"k"}"#), INVALID),
        ("an algorithm that is none", header(r#"{"alg":"nOnE","typ":"JWT","kid":"k"}"#), INVALID),
        ("key id unknown", header(r#"{"alg":"ES256","typ":"JWT","kid":"unknown"}"#), INVALID),
        ("signed again with an attacker's key", Signer::new("k").token(&Bench::claims()), INVALID),
        ("jku", header(r#"{"alg":"ES256","typ":"JWT","kid":"k","jku":"https://evil.example/jwks"}"#), MALFORMED),
        ("jwk", header(r#"{"alg":"ES256","typ":"JWT","kid":"k","jwk":{"kty":"EC"}}"#), MALFORMED),
        ("x5u", header(r#"{"alg":"ES256","typ":"JWT","kid":"k","x5u":"https://evil.example/cert"}"#), MALFORMED),
        ("x5t is ignored", header(r#"{"alg":"ES256","typ":"JWT","kid":"k","x5t":"abc"}"#), GOOD),
    ] {
        assert_eq!(outcome(&bench, &token), expected, "{name}");
    }
}

/// 7.7 and 7.8: times, audiences and JSON.
#[test]
fn sections_7_7_and_7_8_claims() {
    let bench = Bench::new();
    for (name, claim, value, expected) in [
        ("issuer configured, claim missing", "iss", Value::Null, MALFORMED),
        ("exp past, within the leeway", "exp", json!(NOW - 9), GOOD),
        ("exp before iat", "exp", json!(NOW - 30), INCOMPLETE),
        ("exp missing", "exp", Value::Null, INCOMPLETE),
        ("iat in the future", "iat", json!(NOW + 31), EARLY),
        ("nbf in the future", "nbf", json!(NOW + 31), EARLY),
        ("enforced claim absent", "project", Value::Null, INCOMPLETE),
        ("exp as a text", "exp", json!((NOW + 60).to_string()), INCOMPLETE),
        ("exp as a fraction", "exp", json!(1_790_000_060.5), INCOMPLETE),
        ("audience as a list of one", "aud", json!(["https://broker.test"]), GOOD),
        ("audience as a list of two", "aud", json!(["https://broker.test", "https://broker.test"]), AUDIENCE),
        ("audience as an empty list", "aud", json!([]), AUDIENCE),
    ] {
        assert_eq!(outcome(&bench, &with(&bench, claim, value)), expected, "{name}");
    }
    let mut late = Bench::claims();
    for (name, exp, expected) in [("a second before the end of the leeway", NOW - 29, GOOD), ("at its end", NOW - 30, EXPIRED)] {
        (late["iat"], late["nbf"], late["exp"]) = (json!(NOW - 200), json!(NOW - 200), json!(exp));
        assert_eq!(outcome(&bench, &bench.signer.token(&late)), expected, "{name}");
    }
    let header = json!({"typ": "JWT", "alg": "ES256", "kid": "k"}).to_string();
    let body = Bench::claims().to_string();
    let inside = body.strip_suffix('}').unwrap();
    for (name, payload, expected) in [
        ("a claim stands twice", format!("{inside},\"project\":\"8\"}}"), MALFORMED),
        ("a claim stands twice by an escape", format!("{inside},\"pro\\u006aect\":\"8\"}}"), MALFORMED),
        ("exp as 1e400", body.replace(&format!("\"exp\":{}", NOW + 290), "\"exp\":1e400"), MALFORMED),
        ("exp beyond 64 bits", body.replace(&format!("\"exp\":{}", NOW + 290), "\"exp\":18446744073709551616"), INCOMPLETE),
        ("nine deep", format!("{inside},\"x\":{}1{}}}", "[".repeat(8), "]".repeat(8)), MALFORMED),
        ("a byte-order mark", format!("\u{feff}{body}"), MALFORMED),
        ("a list", format!("[{body}]"), MALFORMED),
    ] {
        assert_ne!(payload, body, "{name}");
        assert_eq!(outcome(&bench, &bench.signer.raw(&header, &payload)), expected, "{name}");
    }
}

/// 7.8: two issuers of one policy, such as an enterprise's slug form and the plain one, share no identity: the same id of a
/// token counts for each by itself, and neither speaks in the other's name.
#[test]
fn section_7_8_the_same_token_id_of_two_issuers() {
    let kind = TestKind::new(&["project"], &[], Ages { lifetime: 600, age: 300 });
    let slug = format!("{URL}/acme");
    let believed = |name: &'static str, url: &'static str| Believed {
        name,
        url,
        audience: "https://broker.test",
        algorithms: Algorithm::DEFAULT,
        ages: kind.ages(),
        kind: &kind,
        enabled: true,
    };
    let set = Set(vec![believed("plain", URL), believed("slug", "https://ci.example.test/acme")]);
    let (plain_keys, slug_keys) = (Signer::new("k"), Signer::new("k"));
    let keys = |url: &str| {
        let signer = if url == URL { &plain_keys } else { &slug_keys };
        KeySet::admit(&jwks(&[signer.jwk()]), Algorithm::DEFAULT).ok()
    };
    let mut claims = Bench::claims();
    let plain = decide(&set, keys, &plain_keys.token(&claims)).unwrap();
    claims["iss"] = json!(slug);
    let other = decide(&set, keys, &slug_keys.token(&claims)).unwrap();
    assert_eq!(plain.token_id, other.token_id);
    assert_ne!((&plain.issuer, &plain.issuer_url), (&other.issuer, &other.issuer_url));
    assert_eq!(decide(&set, keys, &plain_keys.token(&claims)).unwrap_err().refusal.code, Code::TokenInvalid);
}

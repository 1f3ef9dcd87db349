use std::borrow::Cow;

use domain::issuers::issuer::{Case, Claim, Class, JobView, Presence, Type, Veto};
use serde_json::{Value, json};

use super::*;
use crate::crypto::jws::KeySet;
use crate::crypto::jws::tests::{Signer, jwks};

pub(super) const NOW: i64 = 1_790_000_000;

/// A kind with a schema of strings and a few others.
#[derive(Debug)]
pub(super) struct TestKind {
    claims: Vec<Claim>,
    required: Vec<Cow<'static, str>>,
    ages: Ages,
    replay: Option<&'static str>,
}

impl TestKind {
    pub(super) fn new(required: &[&'static str], others: &[(&'static str, Type)], ages: Ages) -> Self {
        let claim = |name: &'static str, ty, presence| Claim {
            name: Cow::Borrowed(name),
            ty,
            presence,
            case: Case::Exact,
            class: Class::Anyone,
            personal: false,
            pins_project: false,
            gates_code: false,
        };
        let always = required.iter().map(|name| claim(name, Type::String, Presence::Always));
        let optional = others.iter().map(|(name, ty)| claim(name, *ty, Presence::Optional));
        Self {
            claims: always.chain(optional).collect(),
            required: required.iter().map(|name| Cow::Borrowed(*name)).collect(),
            ages,
            replay: Some("jti"),
        }
    }
}

impl Kind for TestKind {
    fn name(&self) -> &'static str {
        "test"
    }
    fn claims(&self) -> &[Claim] {
        &self.claims
    }
    fn required(&self) -> &[Cow<'static, str>] {
        &self.required
    }
    fn ages(&self) -> Ages {
        self.ages
    }
    fn replay_claim(&self) -> Option<&str> {
        self.replay
    }
    fn job(&self, _: &str, _: &Claims) -> JobView {
        JobView::default()
    }
    fn vetoes(&self) -> &[Veto] {
        &[]
    }
    fn sample(&self) -> Claims {
        Claims::default()
    }
    fn check_url(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Issuers by URL.
pub(super) struct Set<'a>(pub(super) Vec<Believed<'a>>);

impl Issuers for Set<'_> {
    fn believed(&self, url: &str) -> Option<Believed<'_>> {
        self.0.iter().find(|issuer| issuer.url == url).copied()
    }
}

/// Verifies with fixed keys at a fixed time, through the same steps as the verifier.
pub(super) fn decide(issuers: &impl Issuers, keys: impl Fn(&str) -> Option<KeySet>, token: &str) -> Result<Verified, Refused> {
    let presented = Presented::read(token)?;
    let issuer = presented.issuer(issuers)?;
    let set = keys(issuer.url);
    let key = set.as_ref().and_then(|set| set.key(presented.key_id()));
    presented.accept(&issuer, key, Duration::ZERO, OffsetDateTime::from_unix_timestamp(NOW).unwrap(), 30)
}

pub(super) const URL: &str = "https://ci.example.test";

pub(super) struct Bench {
    pub(super) signer: Signer,
    kind: TestKind,
}

impl Bench {
    pub(super) fn new() -> Self {
        let others = [("number", Type::Integer), ("flag", Type::Boolean), ("list", Type::Strings), ("/deep/er", Type::String)];
        Self { signer: Signer::new("k"), kind: TestKind::new(&["project"], &others, Ages { lifetime: 600, age: 300 }) }
    }

    pub(super) fn claims() -> Value {
        json!({"iss": URL, "aud": "https://broker.test", "sub": "job", "jti": "1", "iat": NOW - 10, "nbf": NOW - 20, "exp": NOW + 290, "project": "7"})
    }

    fn decide(&self, claims: &Value) -> Result<Verified, Refused> {
        self.present(&self.signer.token(claims), true)
    }

    pub(super) fn present(&self, token: &str, enabled: bool) -> Result<Verified, Refused> {
        let believed = Believed {
            name: "ci",
            url: URL,
            audience: "https://broker.test",
            algorithms: Algorithm::DEFAULT,
            ages: self.kind.ages,
            kind: &self.kind,
            enabled,
        };
        decide(&Set(vec![believed]), |_| KeySet::admit(&jwks(&[self.signer.jwk()]), Algorithm::DEFAULT).ok(), token)
    }

    /// The refusal of a token with some claims changed; null takes a claim away.
    fn refusal(&self, changes: &Value) -> Refused {
        self.try_with(changes).unwrap_err()
    }

    fn try_with(&self, changes: &Value) -> Result<Verified, Refused> {
        let mut claims = Self::claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.decide(&claims)
    }

    fn code(&self, changes: &Value) -> Result<(), Code> {
        self.try_with(changes).map(drop).map_err(|refused| {
            assert!(refused.authentic(), "{changes}");
            refused.refusal.code
        })
    }
}

#[test]
fn believes_a_good_token_and_says_what_was_signed() {
    let verified = Bench::new().decide(&Bench::claims()).unwrap();
    assert_eq!((verified.issuer.as_str(), verified.issuer_url.as_str(), verified.key_id.as_str()), ("ci", URL, "k"));
    assert_eq!((verified.issued_at, verified.expires_at), (NOW - 10, NOW + 290));
    assert_eq!(verified.token_id, sha256(b"1"));
    assert_eq!(verified.claims.text("project"), Some("7"));
}

#[test]
fn refuses_times_that_are_no_times() {
    let bench = Bench::new();
    for name in ["exp", "iat", "nbf"] {
        for value in
            [json!("1790000000"), json!(true), json!([NOW]), json!(1_790_000_000.5), json!(-1), json!(0), json!(1_i64 << 40)]
        {
            assert_eq!(bench.code(&json!({name: value})), Err(Code::ClaimsIncomplete), "{name} {value}");
        }
    }
    assert_eq!(bench.code(&json!({"exp": null})), Err(Code::ClaimsIncomplete));
    assert_eq!(bench.code(&json!({"iat": null})), Err(Code::ClaimsIncomplete));
    assert_eq!(bench.code(&json!({"nbf": null})), Ok(()));
    let mut claims = Bench::claims();
    claims["nbf"] = Value::Null;
    assert_eq!(bench.decide(&claims).unwrap_err().refusal.code, Code::ClaimsIncomplete, "null is no time either");
}

#[test]
fn holds_times_against_the_clock_with_leeway() {
    let bench = Bench::new();
    assert_eq!(bench.code(&json!({"exp": NOW - 29, "iat": NOW - 100})), Ok(()));
    assert_eq!(bench.code(&json!({"exp": NOW - 30, "iat": NOW - 100})), Err(Code::TokenExpired));
    assert_eq!(bench.code(&json!({"nbf": NOW + 30})), Ok(()));
    assert_eq!(bench.code(&json!({"nbf": NOW + 31})), Err(Code::TokenNotYetValid));
    assert_eq!(bench.code(&json!({"iat": NOW + 30})), Ok(()));
    assert_eq!(bench.code(&json!({"iat": NOW + 31})), Err(Code::TokenNotYetValid));
    assert_eq!(bench.code(&json!({"iat": NOW, "exp": NOW + 600})), Ok(()));
    assert_eq!(bench.code(&json!({"iat": NOW, "exp": NOW + 601})), Err(Code::TokenExpired));
    assert_eq!(bench.code(&json!({"iat": NOW - 300, "exp": NOW + 10})), Ok(()));
    assert_eq!(bench.code(&json!({"iat": NOW - 301, "exp": NOW + 10})), Err(Code::TokenExpired));
    assert_eq!(bench.code(&json!({"iat": NOW + 20, "exp": NOW + 10})), Err(Code::ClaimsIncomplete));
    let hint = bench.refusal(&json!({"exp": NOW - 40, "iat": NOW - 100})).refusal.hints.join(" ");
    assert!(hint.contains("40 s ago") && hint.contains("2026-09-21T14:13:20Z"), "{hint}");
}

#[test]
fn wants_one_audience_and_ours() {
    let bench = Bench::new();
    assert_eq!(bench.code(&json!({"aud": ["https://broker.test"]})), Ok(()));
    for aud in [
        json!("https://broker.test/"),
        json!("HTTPS://broker.test"),
        json!(["https://broker.test", "https://broker.test"]),
        json!(["https://broker.test", "other"]),
        json!([["https://broker.test"]]),
        json!([]),
        json!(7),
        json!({"https://broker.test": 1}),
    ] {
        assert_eq!(bench.code(&json!({"aud": aud})), Err(Code::AudienceMismatch), "{aud}");
    }
    assert_eq!(bench.code(&json!({"aud": null})), Err(Code::AudienceMismatch));
    let refused = bench.refusal(&json!({"aud": "https://github.com/acme"}));
    assert!(refused.refusal.hints.join(" ").contains("\"https://github.com/acme\", which GitHub gives"), "{refused:?}");
    assert!(!format!("{refused:?}").contains("broker.test\"."), "our own audience is not told");
}

#[test]
fn holds_claims_against_the_schema() {
    let bench = Bench::new();
    let good = json!({"number": 1, "flag": false, "list": ["a"], "deep": {"er": "x"}, "unknown": [1, {"a": null}]});
    assert_eq!(bench.code(&good), Ok(()));
    for wrong in [
        json!({"project": 7}),
        json!({"project": ["7"]}),
        json!({"number": "1"}),
        json!({"number": 1.5}),
        json!({"flag": "true"}),
        json!({"list": "a"}),
        json!({"list": ["a", 1]}),
        json!({"deep": {"er": 1}}),
        json!({"project": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": "x".repeat(513)}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": true}),
        json!({"jti": "x".repeat(257)}),
    ] {
        assert_eq!(bench.code(&wrong), Err(Code::ClaimsIncomplete), "{wrong}");
    }
}

#[test]
fn takes_null_for_absent_only_where_a_claim_is_optional() {
    let bench = Bench::new();
    let mut claims = Bench::claims();
    claims["flag"] = Value::Null;
    assert_eq!(bench.decide(&claims).unwrap().claims.get("flag"), None);
    claims["project"] = Value::Null;
    assert_eq!(bench.decide(&claims).unwrap_err().refusal.code, Code::ClaimsIncomplete);
}

#[test]
fn believes_no_one_but_the_issuers_of_the_set_byte_for_byte() {
    let bench = Bench::new();
    let code = |iss: Value| {
        let refused = bench.try_with(&json!({"iss": iss})).unwrap_err();
        assert!(!refused.authentic() && refused.issuer.is_none());
        (refused.refusal.code, refused.refusal.hints.join(" "))
    };
    for iss in
        ["https://ci.example.test/", "HTTPS://ci.example.test", "https://ci.example.test:443", "https://ci.example.test.", ""]
    {
        assert_eq!(code(json!(iss)).0, Code::IssuerUnknown, "{iss}");
    }
    assert!(code(json!("https://ci.example.test/")).1.contains("slash"));
    assert!(code(json!("http://ci.example.test")).1.contains("https://"));
    assert!(code(json!(format!("https://{}", "\u{202e}".repeat(200)))).1.len() < 2500, "what is shown is escaped and cut");
    assert_eq!(code(json!([URL])).0, Code::TokenMalformed);
    assert_eq!(code(Value::Null).0, Code::TokenMalformed);
}

#[test]
fn a_disabled_issuer_is_refused_before_any_key_work() {
    let bench = Bench::new();
    let refused = bench.present(&bench.signer.token(&Bench::claims()), false).unwrap_err();
    assert_eq!((refused.refusal.code, refused.authentic()), (Code::IssuerDisabled, false));
    assert_eq!(refused.issuer.as_deref(), Some("ci"));
}

#[test]
fn all_that_is_wrong_with_a_signature_looks_alike() {
    let bench = Bench::new();
    let token = bench.signer.token(&Bench::claims());
    let (input, _) = token.rsplit_once('.').unwrap();
    let header = |header: &str| bench.signer.raw(header, &Bench::claims().to_string());
    let tokens = [
        format!("{input}.AAAA"),
        Signer::new("k").token(&Bench::claims()),
        Signer::new("unknown").token(&Bench::claims()),
        header(r#"{"alg":"RS256","kid":"k"}"#),
        header(r#"{"alg":"none","kid":"k"}"#),
        header(r#"{"alg":"HS256","kid":"k"}"#),
    ];
    let refusals: Vec<_> = tokens.iter().map(|token| bench.present(token, true).unwrap_err()).collect();
    for refused in &refusals {
        assert_eq!(refused.refusal, Refusal::new(Code::TokenInvalid));
        assert!(!refused.authentic());
    }
}

#[test]
fn a_denial_after_the_signature_tells_what_was_signed() {
    let refused = Bench::new().refusal(&json!({"exp": NOW - 100, "iat": NOW - 200}));
    assert_eq!(refused.signed.unwrap().text("project"), Some("7"));
    assert_eq!(refused.issuer.as_deref(), Some("ci"));
}

#[test]
fn without_an_id_the_signed_bytes_tell_tokens_apart() {
    let mut bench = Bench::new();
    bench.kind.replay = None;
    let (once, twice) = (bench.signer.token(&Bench::claims()), bench.signer.token(&Bench::claims()));
    assert_ne!(once, twice, "ECDSA signs anew each time");
    let id = |token: &str| bench.present(token, true).unwrap().token_id;
    assert_eq!(id(&once), id(&twice), "another signature over the same claims is the same token");
    let other = bench.try_with(&json!({"jti": null, "sub": "other"})).unwrap();
    assert_ne!(id(&once), other.token_id);
}

#[tokio::test]
async fn asks_the_cache_for_keys_and_says_when_there_are_none() {
    use crate::oidc::keys::{Place, Source};
    use crate::outbound::{Destination, Outbound};

    let (bench, folder) = (Bench::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("keys.json");
    let (system, clock) = System::real();
    let keys = Arc::new(KeyCache::new(system.clone(), Outbound::default(), None));
    let source = Source {
        issuer: URL.to_owned(),
        algorithms: Algorithm::DEFAULT.to_vec(),
        place: Place::File(file.clone()),
        destination: Destination::default(),
    };
    keys.configure(vec![source.clone()]);
    let verifier = Verifier::new(system, keys.clone(), Duration::from_mins(10));
    assert_eq!(verifier.leeway(), 60, "leeway has a ceiling");
    let believed = Believed {
        name: "ci",
        url: URL,
        audience: "https://broker.test",
        algorithms: Algorithm::DEFAULT,
        ages: bench.kind.ages,
        kind: &bench.kind,
        enabled: true,
    };
    let issuers = Set(vec![believed]);
    let now = crate::system::Clock::now(&*clock).unix_timestamp();
    let mut claims = Bench::claims();
    (claims["iat"], claims["nbf"], claims["exp"]) = (json!(now), json!(now), json!(now + 300));
    let token = bench.signer.token(&claims);

    let refused = verifier.verify(&issuers, &token).await.unwrap_err();
    assert_eq!(refused.refusal.code, Code::KeysUnavailable);
    assert!(refused.refusal.retry_after.is_some() && !refused.authentic());

    std::fs::write(&file, jwks(&[bench.signer.jwk()])).unwrap();
    keys.refresh_all().await;
    let verified = verifier.verify(&issuers, &token).await.unwrap();
    assert!(verified.keys_age < Duration::from_mins(1));
    let refused = verifier.verify(&issuers, &Signer::new("unknown").token(&claims)).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::new(Code::TokenInvalid));
}

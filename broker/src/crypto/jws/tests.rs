use std::path::PathBuf;

use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A test-vector file of the folder named by `DAYPASS_VECTORS`, or of `shared/vectors` beside the repository. Absent
/// vectors are said aloud and skip what needs them.
pub(crate) fn vectors(file: &str) -> Option<Value> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("DAYPASS_VECTORS").map_or(beside, PathBuf::from).join(file);
    let Ok(text) = std::fs::read(&path) else {
        assert!(std::env::var_os("DAYPASS_VECTORS").is_none(), "DAYPASS_VECTORS has no {}", path.display());
        println!("skipped: there are no vectors at {}", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// A fresh ES256 key that signs as CI issuers do.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    pub(crate) key_id: String,
}

impl Signer {
    pub(crate) fn new(key_id: &str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), key_id: key_id.to_owned() }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point: EcPublicKeyUncompressedBin<'_> = self.pair.public_key().as_be_bytes().unwrap();
        let (x, y) = point.as_ref()[1..].split_at(32);
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": self.key_id, "alg": "ES256", "use": "sig", "x": text(x), "y": text(y)})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.raw(&json!({"typ": "JWT", "alg": "ES256", "kid": self.key_id}).to_string(), &claims.to_string())
    }

    pub(crate) fn raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

fn set(keys: &[Value]) -> Result<KeySet, SetRefused> {
    KeySet::admit(&jwks(keys), Algorithm::ALL)
}

fn verifies(set: &KeySet, token: &str) -> bool {
    let Ok(token) = Unverified::read(token) else { return false };
    set.key(token.key_id()).is_some_and(|key| key.verify(&token).is_ok())
}

#[test]
fn verifies_what_the_key_signed_and_nothing_else() {
    let (ours, other) = (Signer::new("a"), Signer::new("a"));
    let set = set(&[ours.jwk()]).unwrap();
    assert!(verifies(&set, &ours.token(&json!({"x": 1}))));
    assert!(!verifies(&set, &other.token(&json!({"x": 1}))));
    assert!(!verifies(&set, &Signer { key_id: "b".to_owned(), ..ours }.token(&json!({"x": 1}))));
}

#[test]
fn refuses_headers_that_say_more_than_needed() {
    let signer = Signer::new("a");
    let set = set(&[signer.jwk()]).unwrap();
    let accepted = |header: &str| verifies(&set, &signer.raw(header, "{}"));
    assert!(accepted(r#"{"alg":"ES256","kid":"a"}"#));
    assert!(accepted(r#"{"alg":"ES256","kid":"a","typ":"application/JWT","x5t":"abc"}"#));
    for member in ["crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"] {
        for value in ["null", "true", "[]", "\"\"", "{}"] {
            let header = format!(r#"{{"alg":"ES256","kid":"a","{member}":{value}}}"#);
            assert!(!accepted(&header), "{header}");
        }
    }
    for header in [
        r#"{"alg":"ES256"}"#,
        r#"{"kid":"a"}"#,
        r#"{"alg":"es256","kid":"a"}"#,
        r#"{"alg":"none","kid":"a"}"#,
        r#"{"alg":"ES256 ","kid":"a"}"#,
        r#"{"alg":["ES256"],"kid":"a"}"#,
        r#"{"alg":"ES256","kid":""}"#,
        r#"{"alg":"ES256","kid":"a","typ":"at+jwt"}"#,
        r#"{"alg":"ES256","kid":"a","typ":null}"#,
        r#"{"alg":"ES256","kid":"a","kid":"a"}"#,
        r#"{"alg":"ES256","kid":"a"} x"#,
        r#""ES256""#,
    ] {
        assert!(!accepted(header), "{header}");
    }
    assert!(!accepted(&format!(r#"{{"alg":"ES256","kid":"a","x":"{}"}}"#, "y".repeat(800))), "a header beyond 1 KiB");
}

#[test]
fn refuses_other_shapes_before_any_key() {
    for token in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.", ".e30.AAAA", "e30.e30.AAAA=", "e30.e30 .AAAA", "e31.e30.AAAA"] {
        assert!(Unverified::read(token).is_err(), "{token}");
    }
    let jwe = Unverified::read("a.b.c.d.e").unwrap_err();
    assert!(jwe.0.contains("JWE"), "{jwe}");
    assert!(Unverified::read(&".".repeat(TOKEN_BYTES)).is_err());
    assert!(Unverified::read(&"a".repeat(TOKEN_BYTES + 1)).is_err());
}

#[test]
fn skips_keys_it_cannot_use_and_keeps_the_others() {
    let good = Signer::new("good");
    let rsa = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "kid": "bad", "alg": "RS256", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e)});
    let modulus = |bytes: usize| [vec![0xc1], vec![0x5a; bytes - 2], vec![0x01]].concat();
    let e = [1, 0, 1];
    let change = |name: &str, value: Value| {
        let mut jwk = Signer::new("bad").jwk();
        jwk[name] = value;
        jwk
    };
    let bad = [
        json!({"kty": "AKP", "kid": "bad", "alg": "ML-DSA-65", "pub": "AAAA"}),
        json!({"kid": "bad"}),
        rsa(&modulus(255), &e),
        rsa(&modulus(1025), &e),
        rsa(&[modulus(255), vec![0x02]].concat(), &e),
        rsa(&[vec![0], modulus(256)].concat(), &e),
        rsa(&modulus(256), &[1]),
        rsa(&modulus(256), &[3]),
        rsa(&modulus(256), &[0, 1, 0, 1]),
        rsa(&[], &e),
        change("use", json!("enc")),
        change("use", json!(null)),
        change("key_ops", json!(["encrypt"])),
        change("key_ops", json!("verify")),
        change("alg", json!("ES384")),
        change("alg", json!("RS256")),
        change("alg", json!("HS256")),
        change("alg", json!(7)),
        change("crv", json!("P-384")),
        change("crv", json!("secp256k1")),
        change("kty", json!("RSA")),
        change("x", json!("AAAA")),
        change("y", good.jwk()["y"].clone()),
        change("kid", json!("a b")),
        change("kid", json!("x".repeat(257))),
        change("kid", json!(["good"])),
    ];
    for jwk in bad {
        let set = set(&[jwk.clone(), good.jwk()]).unwrap();
        assert_eq!((set.keys().len(), set.skipped().len()), (1, 1), "{jwk}");
        assert!(verifies(&set, &good.token(&json!({}))), "{jwk}");
    }
    assert_eq!(set(&[rsa(&modulus(256), &e), good.jwk()]).unwrap().keys().len(), 2, "the pattern itself is admitted");
}

#[test]
fn refuses_sets_that_tell_of_a_broken_issuer() {
    let (a, b) = (Signer::new("a").jwk(), Signer::new("b").jwk());
    let with = |name: &str| {
        let mut jwk = Signer::new("c").jwk();
        jwk[name] = json!("AQAB");
        jwk
    };
    let refused = |keys: &[Value]| set(keys).err();
    assert_eq!(refused(&[a.clone(), b.clone()]), None);
    assert_eq!(refused(&[a.clone(), b.clone(), a.clone()]), Some(SetRefused::DuplicateId));
    assert_eq!(refused(&[a.clone(), json!({"kty": "oct", "kid": "o", "k": "AAAA"})]), Some(SetRefused::SymmetricKey));
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        assert_eq!(refused(&[a.clone(), with(member)]), Some(SetRefused::PrivateKey), "{member}");
    }
    assert_eq!(refused(&[]), Some(SetRefused::NoUsableKey));
    assert_eq!(refused(&vec![a.clone(); 65]), Some(SetRefused::TooManyKeys));
    assert_eq!(refused(&[a.clone(), json!("key")]), Some(SetRefused::NotASet));
    for document in ["[]", "{}", r#"{"keys":{}}"#, "null"] {
        assert_eq!(KeySet::admit(document.as_bytes(), Algorithm::ALL).err(), Some(SetRefused::NotASet), "{document}");
    }
    assert!(matches!(KeySet::admit(br#"{"keys":[],"keys":[]}"#, Algorithm::ALL), Err(SetRefused::Json(_))));
    assert!(matches!(KeySet::admit(&vec![b' '; 256 * 1024 + 1], Algorithm::ALL), Err(SetRefused::TooLarge)));
}

#[test]
fn a_key_has_one_algorithm_even_when_it_names_none() {
    let signer = Signer::new("a");
    let mut jwk = signer.jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    assert_eq!(set(&[jwk.clone()]).unwrap().keys()[0].algorithm(), Algorithm::Es256);
    assert_eq!(KeySet::admit(&jwks(&[jwk]), &[Algorithm::Rs256]).err(), Some(SetRefused::NoUsableKey));

    let n = URL_SAFE_NO_PAD.encode([vec![0xc1; 255], vec![1]].concat());
    let rsa = jwks(&[json!({"kty": "RSA", "kid": "r", "n": n, "e": "AQAB"})]);
    let algorithm = |allowed: &[Algorithm]| KeySet::admit(&rsa, allowed).map(|set| set.keys()[0].algorithm()).ok();
    assert_eq!(algorithm(Algorithm::DEFAULT), Some(Algorithm::Rs256));
    assert_eq!(algorithm(&[Algorithm::Ps256, Algorithm::Rs256]), Some(Algorithm::Rs256));
    assert_eq!(algorithm(&[Algorithm::Ps384]), Some(Algorithm::Ps384));
    assert_eq!(algorithm(&[Algorithm::Es256]), None);
}

#[test]
fn agrees_with_wycheproof_in_every_profile() {
    let (Some(file), Some(overrides)) =
        (vectors("wycheproof/json_web_signature_test.json"), vectors("wycheproof/overrides.json"))
    else {
        return;
    };
    for profile in [Algorithm::DEFAULT, Algorithm::ALL] {
        let (mut cases, mut accepted, mut wrong) = (0, 0, Vec::new());
        for group in file["testGroups"].as_array().unwrap() {
            let jwk = group.get("public").unwrap_or(&group["private"]);
            let document = if jwk.get("keys").is_some() { jwk.clone() } else { json!({ "keys": [jwk] }) };
            let set = KeySet::admit(document.to_string().as_bytes(), profile).ok();
            let algorithm = jwk["alg"].as_str().and_then(algorithm_named);
            for case in group["tests"].as_array().unwrap() {
                let overridden = overrides["overrides"].as_array().unwrap().iter().find(|entry| entry["tcId"] == case["tcId"]);
                let label = overridden.map_or(&case["result"], |entry| &entry["treat_as"]);
                let expected = label == "valid" && algorithm.is_some_and(|algorithm| profile.contains(&algorithm));
                let got = set.as_ref().is_some_and(|set| verifies(set, case["jws"].as_str().unwrap()));
                cases += 1;
                accepted += usize::from(got);
                if got != expected {
                    wrong.push((case["tcId"].clone(), got));
                }
            }
        }
        println!("wycheproof jws, {} algorithms: {cases} cases, {accepted} accepted, wrong {wrong:?}", profile.len());
        assert_eq!(cases, 401);
        assert_eq!(wrong, []);
    }
}

#[test]
fn refuses_every_encrypted_token_by_its_shape() {
    let Some(file) = vectors("wycheproof/json_web_encryption_test.json") else { return };
    let mut cases = 0;
    for case in file["testGroups"].as_array().unwrap().iter().flat_map(|group| group["tests"].as_array().unwrap()) {
        let token = case["jwe"].as_str().unwrap();
        // Reading takes no key at all, so no operation with one can have happened.
        assert!(Unverified::read(token).is_err(), "{}", case["tcId"]);
        cases += 1;
    }
    assert_eq!(cases, 139);
}

/// One change of a token's text.
#[derive(Clone, Debug)]
enum Change {
    FlipBit(prop::sample::Index, u8),
    Insert(prop::sample::Index, char),
    Delete(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<prop::sample::Index>(), 0..7_u8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        (any::<prop::sample::Index>(), any::<char>()).prop_map(|(at, new)| Change::Insert(at, new)),
        any::<prop::sample::Index>().prop_map(Change::Delete),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(a, b)| Change::Swap(a, b)),
    ]
}

impl Change {
    fn apply(&self, token: &str) -> String {
        let mut text: Vec<char> = token.chars().collect();
        let length = text.len();
        match self {
            Self::FlipBit(at, bit) => {
                let at = at.index(length);
                text[at] = char::from(text[at] as u8 ^ (1 << bit));
            }
            Self::Insert(at, new) => text.insert(at.index(length + 1), *new),
            Self::Delete(at) => drop(text.remove(at.index(length))),
            Self::Swap(a, b) => text.swap(a.index(length), b.index(length)),
        }
        text.into_iter().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_mutation_of_a_valid_token_is_refused(changes in prop::collection::vec(change(), 1..4)) {
        use std::sync::LazyLock;
        static VALID: LazyLock<(KeySet, String)> = LazyLock::new(|| {
            let signer = Signer::new("key-1");
            (set(&[signer.jwk()]).unwrap(), signer.token(&json!({"iss": "https://ci.example.test", "sub": "a", "n": [1, 2, 3]})))
        });
        let (set, token) = &*VALID;
        let changed = changes.iter().fold(token.clone(), |token, change| change.apply(&token));
        prop_assert_eq!(verifies(set, &changed), changed == *token);
    }

    #[test]
    fn any_change_of_the_bytes_inside_a_segment_is_refused(segment in 0..3_usize, at in any::<prop::sample::Index>(), bit in 0..8_u8, kind in 0..4_u8) {
        let signer = Signer::new("key-1");
        let set = set(&[signer.jwk()]).unwrap();
        let token = signer.token(&json!({"iss": "https://ci.example.test", "sub": "a"}));
        let mut segments: Vec<Vec<u8>> = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).unwrap()).collect();
        let bytes = &mut segments[segment];
        let place = at.index(bytes.len());
        match kind {
            0 => bytes[place] ^= 1 << bit,
            1 => bytes.insert(place, bit),
            2 => drop(bytes.remove(place)),
            _ => bytes.swap(place, 0),
        }
        let changed = segments.iter().map(|segment| URL_SAFE_NO_PAD.encode(segment)).collect::<Vec<_>>().join(".");
        prop_assert!(verifies(&set, &token));
        prop_assert_eq!(verifies(&set, &changed), changed == token);
    }

    #[test]
    fn reading_never_panics(text in "[A-Za-z0-9_.=-]{0,200}|\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Unverified::read(&text);
        let _ = KeySet::admit(&bytes, Algorithm::ALL);
        let _ = KeySet::admit(format!(r#"{{"keys":[{text}]}}"#).as_bytes(), Algorithm::ALL);
    }
}

//! Wycheproof's vectors, when their folder is there.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// A file of the vectors folder: `DAYPASS_VECTORS`, else `../shared/vectors` beside the checkout.
fn vectors(file: &str) -> Option<Value> {
    let folder = std::env::var_os("DAYPASS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"), PathBuf::from);
    let path = folder.join("wycheproof").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("DAYPASS_VECTORS").is_none(), "DAYPASS_VECTORS has no {}", path.display());
        println!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn bytes(test: &Value, name: &str) -> Vec<u8> {
    let hex = test[name].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn tests(file: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    file["testGroups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["tests"].as_array().unwrap().iter().map(move |test| (group, test)))
}

#[test]
fn aes_gcm_agrees_with_wycheproof() {
    let Some(file) = vectors("aes_gcm_test.json") else { return };
    let mut ran = 0;
    for (group, test) in tests(&file) {
        if group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128 {
            continue;
        }
        ran += 1;
        let key = Secret::new(<[u8; 32]>::try_from(bytes(test, "key")).unwrap());
        let nonce = <[u8; NONCE]>::try_from(bytes(test, "iv")).unwrap();
        let sealed = [bytes(test, "ct"), bytes(test, "tag")].concat();
        let opened = decrypt(&key, nonce, &bytes(test, "aad"), &sealed);
        let mut made = Vec::new();
        encrypt(&key, nonce, &bytes(test, "aad"), &bytes(test, "msg"), &mut made).unwrap();
        if test["result"] == "valid" {
            assert_eq!(opened.unwrap().expose(), &bytes(test, "msg"), "case {}", test["tcId"]);
            assert_eq!(made, sealed, "case {}", test["tcId"]);
        } else {
            assert_eq!(opened.unwrap_err(), DoesNotOpen, "case {}", test["tcId"]);
            assert_ne!(made, sealed, "case {}", test["tcId"]);
        }
    }
    assert!(ran >= 60, "only {ran} cases have a 256-bit key and a 96-bit nonce");
}

#[test]
fn hkdf_agrees_with_wycheproof() {
    let Some(file) = vectors("hkdf_sha256_test.json") else { return };
    let mut ran = 0;
    for (_, test) in tests(&file) {
        ran += 1;
        let mut out = vec![0; usize::try_from(test["size"].as_u64().unwrap()).unwrap()];
        let derived = derive(&bytes(test, "ikm"), &bytes(test, "salt"), &[&bytes(test, "info")], &mut out);
        if test["result"] == "valid" {
            derived.unwrap();
            assert_eq!(out, bytes(test, "okm"), "case {}", test["tcId"]);
        } else {
            assert_eq!(derived, Err(TooLong), "case {}", test["tcId"]);
        }
    }
    assert_eq!(ran, 86);
}

#[test]
fn short_ciphertexts_are_refused() {
    assert!(decrypt(&Secret::new([1; 32]), [0; NONCE], b"", &[0; TAG - 1]).is_err());
}

//! The corpus of hostile and benign CI tokens, against the verifier and a policy set that says what the corpus' own
//! policies say.

use std::fmt::Write;

use domain::issuers::{github, gitlab};
use domain::policy::{Ask, PolicySet, SourceFile, decide};
use serde_json::{Value, json};

use super::tests::{self, NOW};
use super::*;
use crate::crypto::jws::KeySet;
use crate::crypto::jws::tests::vectors;

#[test]
fn decides_every_attack_as_expected() {
    let Some(file) = vectors("attacks/attacks.json") else { return };
    assert_eq!(file["now"], json!(NOW));
    let set = policy(&file);
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let keys = |url: &str| {
            let document = case.get("jwks").filter(|_| file["issuer"] == url).unwrap_or(&file["jwks"][url]);
            KeySet::admit(document.to_string().as_bytes(), Algorithm::DEFAULT).ok()
        };
        let verified = tests::decide(&set, keys, case["token"].as_str().unwrap());
        // What the corpus calls a matter of policy must be seen to be authentic.
        let misplaced = case["class"] == "policy" && verified.as_ref().is_err_and(|refused| !refused.authentic());
        let outcome = verified.map_err(|refused| refused.refusal).and_then(|verified| {
            let (issuer, claims) = (verified.issuer.as_str(), &verified.claims);
            decide(&set, &Ask { issuer, claims, role: None, credentials: &[], ttl: None, now: NOW })
        });
        if outcome.is_ok() != (case["expect"] == "accept") || misplaced {
            wrong.push(format!("{} {} {}: {:?}", case["id"], case["class"], case["name"], outcome.map(|allowed| allowed.role)));
        }
    }
    assert_eq!(file["cases"].as_array().unwrap().len(), 198);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The corpus' policies as a policy set: every claim that they name, by equality.
fn policy(file: &Value) -> PolicySet {
    let mut text = String::new();
    for (name, url) in [("github", github::URL), ("gitlab", gitlab::URL)] {
        let audience = file["audience"].as_str().unwrap();
        let conditions = file["policies"][url].as_object().unwrap();
        let conditions: Vec<_> = conditions.iter().map(|(claim, value)| format!("{claim} = {value}")).collect();
        let conditions = conditions.join("\n") + "\n";
        write!(
            text,
            "[issuer.{name}]\nkind = \"{name}\"\nurl = \"{url}\"\naudience = \"{audience}\"\n\
             [role.{name}]\nttl = \"10m\"\n[[role.{name}.allow]]\nissuer = \"{name}\"\n{conditions}\
             [role.{name}.credential.secret]\nengine = \"kv\"\npath = \"{name}/secret\"\n"
        )
        .unwrap();
    }
    PolicySet::load(vec![SourceFile { path: "attacks.toml".to_owned(), text }]).unwrap()
}

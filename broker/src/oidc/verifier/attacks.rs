//! The corpus of hostile and benign CI tokens, against the verifier and the equality policy that the corpus states.

use serde_json::{Value, json};

use super::tests::{NOW, Set, TestKind, decide};
use super::*;
use crate::crypto::jws::KeySet;
use crate::crypto::jws::tests::vectors;

#[test]
fn decides_every_attack_as_expected() {
    let Some(file) = vectors("attacks/attacks.json") else { return };
    assert_eq!(file["now"], json!(NOW));
    let (github, gitlab) = (TestKind::github(), TestKind::gitlab());
    let kinds: [(&str, &str, &dyn Kind); 2] =
        [("github", "https://token.actions.githubusercontent.com", &github), ("gitlab", "https://gitlab.com", &gitlab)];
    let believed = kinds.map(|(name, url, kind)| Believed {
        name,
        url,
        audience: file["audience"].as_str().unwrap(),
        algorithms: Algorithm::DEFAULT,
        ages: kind.ages(),
        kind,
        enabled: true,
    });
    let issuers = Set(believed.to_vec());

    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let keys = |url: &str| {
            let document = case.get("jwks").filter(|_| file["issuer"] == url).unwrap_or(&file["jwks"][url]);
            KeySet::admit(document.to_string().as_bytes(), Algorithm::DEFAULT).ok()
        };
        let outcome = decide(&issuers, keys, case["token"].as_str().unwrap());
        let class = case["class"].as_str().unwrap();
        let (accepted, word) = match &outcome {
            Ok(verified) if allows(&file["policies"][&verified.issuer_url], &verified.claims) => (true, "accepted"),
            Ok(_) => (false, "denied by policy"),
            Err(refused) => (false, refused.refusal.code.as_str()),
        };
        // What the corpus calls a matter of policy must be seen to be authentic.
        let misplaced = class == "policy" && outcome.as_ref().is_err_and(|refused| !refused.authentic());
        if accepted != (case["expect"] == "accept") || misplaced {
            wrong.push(format!("{} {class} {}: {word}", case["id"], case["name"]));
        }
    }
    assert_eq!(file["cases"].as_array().unwrap().len(), 198);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn allows(policy: &Value, claims: &Claims) -> bool {
    policy.as_object().unwrap().iter().all(|(name, expected)| match expected {
        Value::Array(any) => any.iter().any(|one| one.as_str() == claims.text(name)),
        one => one.as_str() == claims.text(name),
    })
}

//! Every hostile and benign token of the corpus, through the door that jobs use.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use integration::ci::Ci;
use integration::cluster::Databases;
use integration::ground::{Ground, Settings, checkout};
use integration::inside::Inside;
use serde_json::{Value, json};

/// The corpus, or nothing where it is not beside the checkout.
fn corpus() -> Option<Value> {
    let folder = std::env::var_os("DAYPASS_VECTORS").map_or_else(|| checkout().join("../shared/vectors"), Into::into);
    let Ok(text) = std::fs::read_to_string(folder.join("attacks/attacks.json")) else {
        assert!(std::env::var_os("DAYPASS_VECTORS").is_none(), "{} has no attacks/attacks.json", folder.display());
        eprintln!("left out: there is no attacks/attacks.json in {}; DAYPASS_VECTORS names another folder", folder.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("the corpus is JSON"))
}

/// A policy set that says what the corpus' own policies say, with keys from files.
fn write_policies(ground: &Ground, file: &Value, github_keys: &Value) {
    let mut text = String::new();
    for (name, url) in [("github", "https://token.actions.githubusercontent.com"), ("gitlab", "https://gitlab.com")] {
        let keys = if name == "github" { github_keys } else { &file["jwks"][url] };
        ground.policy(&format!("{name}.json"), &keys.to_string()).unwrap();
        let conditions = file["policies"][url].as_object().unwrap();
        let conditions = conditions.iter().map(|(claim, value)| format!("{claim} = {value}\n")).collect::<Vec<_>>().concat();
        write!(
            text,
            "[issuer.{name}]\nkind = \"{name}\"\nurl = \"{url}\"\naudience = {}\njwks_file = \"{name}.json\"\n\
             [role.{name}]\nttl = \"10m\"\n[[role.{name}.allow]]\nissuer = \"{name}\"\n{conditions}\
             [role.{name}.credential.secret]\nengine = \"kv\"\npath = \"{name}/secret\"\n",
            file["audience"]
        )
        .unwrap();
    }
    ground.policy("attacks.toml", &text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decides_every_attack_as_expected_over_http() {
    let Some(file) = corpus() else { return };
    let mut batches: BTreeMap<String, (Value, Vec<&Value>)> = BTreeMap::new();
    for case in file["cases"].as_array().unwrap() {
        let keys = case.get("jwks").unwrap_or(&file["jwks"]["https://token.actions.githubusercontent.com"]);
        batches.entry(keys.to_string()).or_insert_with(|| (keys.clone(), Vec::new())).1.push(case);
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for (keys, cases) in batches.into_values() {
        // What is remembered of an issuer's keys belongs to its own installation.
        let ground = Ground::of(Databases::make().await.unwrap()).unwrap();
        if cases.iter().any(|case| case["expect"] == "accept") {
            store_secrets(&ground).await;
        }
        write_policies(&ground, &file, &keys);
        let config = ground.configure(&Settings { level: "error", ..Settings::default() }).unwrap();
        let inside = Inside::at(file["now"].as_i64().unwrap(), &config).await.unwrap();
        for case in cases {
            seen += 1;
            let token = case["token"].as_str().unwrap();
            let answer = inside.native.exchange(token, json!({})).await.unwrap();
            let accepted = case["expect"] == "accept";
            // Where no key of the issuer can be used the broker says so, with the only status of its own that may appear.
            let no_keys = case.get("jwks").is_some() && answer.status == 503 && answer.code() == "keys_unavailable";
            let too_large = answer.status == 413 && token.len() > 16 * 1024;
            let refused = matches!(answer.status, 401 | 403) || no_keys || too_large;
            let as_expected = if accepted { answer.status == 200 } else { refused && answer.problem().is_ok() };
            let as_denied = case["class"] != "policy" || answer.status == 403 || answer.code() == "claims_incomplete";
            if !as_expected || !as_denied {
                wrong.push(format!("{} {} {}: {answer:?}", case["id"], case["class"], case["name"]));
            }
            assert!(token.len() < 20 || !answer.body.contains(token), "{} is repeated in the answer", case["id"]);
        }
        inside.end().await.unwrap();
    }
    assert_eq!(seen, 198);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Stores the secrets that the corpus' roles yield, through a broker under the starter policies.
async fn store_secrets(ground: &Ground) {
    ground.starter_policies(Ci::shared().unwrap()).unwrap();
    let replica = ground.start().await.unwrap();
    for name in ["github", "gitlab"] {
        ground.store_secret(&replica, &format!("secret/{name}/secret"), &json!({"value": name})).await.unwrap();
    }
    drop(replica);
    std::fs::remove_dir_all(ground.path("policies")).unwrap();
    std::fs::create_dir(ground.path("policies")).unwrap();
}

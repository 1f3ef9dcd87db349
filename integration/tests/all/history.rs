//! A change of the policy against what a broker really decided: the whole way from tokens to the answer on the command line.

use std::path::Path;

use integration::ground::{Ground, Settings, deploy_claims, operator_claims};
use serde_json::{Value, json};

use crate::client::{daypass, run, said, text};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("cases")).unwrap();
    for sub in ["", "cases"] {
        for entry in std::fs::read_dir(from.join(sub)).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|ending| ending == "toml") {
                std::fs::copy(entry.path(), to.join(sub).join(entry.file_name())).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_tried_on_recorded_decisions_and_a_refusal_explained_by_its_id() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start_with(&Settings { tls: true, ..Settings::default() }).await.unwrap();
    for home in ["one", "two"] {
        let mut job = daypass(&ground, &replica, home, &deploy_claims());
        said(&run(job.args(["exec", "--role", "shop-deploy-prod", "-C", "database", "--", "true"])).await);
    }
    let mut branch = daypass(&ground, &replica, "branch", &json!({ "environment": "production", "ref": "refs/heads/stable" }));
    let refused = run(branch.args(["--format", "json", "exec", "--role", "shop-deploy-prod", "--", "true"])).await;
    let error: Value = serde_json::from_slice(&refused.stderr).unwrap();
    let problem = &error["error"]["problem"];
    assert_eq!(problem["code"], "role_not_allowed");
    assert!(!text(&refused.stderr).contains("deploy.yml@refs/heads/main\""), "a row is told: {}", text(&refused.stderr));

    let operator = |words: &[&str]| {
        let mut command = daypass(&ground, &replica, "operator", &operator_claims());
        command.args(words);
        command
    };
    said(&run(&mut operator(&["login", "--role", "operators"])).await);
    let same = ground.path("policies");
    let told = said(&run(&mut operator(&["policy", "simulate", same.to_str().unwrap()])).await);
    assert!(told.contains("no change"), "{told}");

    let changed = ground.path("changed");
    copy(&same, &changed);
    let shop = std::fs::read_to_string(changed.join("shop.toml")).unwrap();
    let shop =
        shop.replacen("\"refs/heads/main\"", "\"refs/heads/stable\"", 1).replacen("@refs/heads/main", "@refs/heads/stable", 1);
    std::fs::write(changed.join("shop.toml"), shop).unwrap();
    let output = run(&mut operator(&["--format", "json", "policy", "simulate", changed.to_str().unwrap()])).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["newly_denied"][0]["count"], &told["newly_denied"][0]["project_name"]), (&json!(2), &json!("acme/shop")));
    assert!(told["newly_denied"][0]["run_url"].as_str().unwrap().contains("/actions/runs/"), "{told}");
    assert_eq!(told["unsure"], json!([]), "operators of the starter set may read the audit trail");

    let suggested = said(&run(&mut operator(&["policy", "suggest", same.to_str().unwrap(), "--least", "2"])).await);
    assert!(suggested.contains("no token brought \"workflow_dispatch\""), "{suggested}");

    let id = problem["decision_id"].as_str().unwrap();
    let explained = run(&mut operator(&["policy", "explain", "--decision", id])).await;
    assert_eq!(explained.status.code(), Some(1), "{}", text(&explained.stderr));
    let explained = text(&explained.stdout);
    assert!(
        explained.contains("recorded exchange.denied role_not_allowed") && explained.contains("refs/heads/stable"),
        "{explained}"
    );
}

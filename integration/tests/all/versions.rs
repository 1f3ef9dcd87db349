//! Changing the policy while brokers serve: the commands of docs/policy-versions.md, as operators would type them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims, operator_claims};
use integration::replica::{PATIENCE, Replica};
use serde_json::{Value, json};

use super::client::{daypass, run, said, text};

/// What an operator is promised.
const EVERYWHERE: Duration = Duration::from_secs(5);

const PREVIEW: &str = r#"
[role.shop-preview]
ttl = "10m"

[[role.shop-preview.allow]]
issuer              = "github"
repository_owner_id = "9919"
repository_id       = "637712"
ref                 = "refs/heads/main"
event_name          = "push"
environment         = "preview"

[role.shop-preview.credential.registry]
engine = "kv"
path   = "shop/registry"
"#;

/// The code of an exchange for the role alone; empty when it is granted.
async fn asked(replica: &Replica, claims: &Value, role: &str) -> String {
    let token = Ci::shared().unwrap().github(claims).unwrap();
    let answer = replica.native.exchange(&token, json!({"role": role, "session_only": true})).await.unwrap();
    answer.code()
}

/// Every replica answers so, within what is promised.
async fn everywhere(replicas: &[&Replica], claims: Value, role: &str, code: &str) {
    let until = Instant::now() + EVERYWHERE;
    for replica in replicas {
        loop {
            let told = asked(replica, &claims, role).await;
            if told == code {
                break;
            }
            assert!(Instant::now() < until, "{role}: {told:?} instead of {code:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn preview() -> Value {
    json!({"environment": "preview", "event_name": "push"})
}

/// An operator with this id at the CI system, and what they type.
struct Operator<'a> {
    ground: &'a Ground,
    replica: &'a Replica,
    home: &'a str,
    claims: Value,
}

impl<'a> Operator<'a> {
    async fn new(ground: &'a Ground, replica: &'a Replica, home: &'a str, actor: &str) -> Self {
        let mut claims = operator_claims();
        claims["actor_id"] = json!(actor);
        let operator = Self { ground, replica, home, claims };
        operator.does(&["login", "--role", "operators"]).await;
        operator
    }

    async fn tries(&self, arguments: &[&str]) -> std::process::Output {
        run(daypass(self.ground, self.replica, self.home, &self.claims).args(arguments)).await
    }

    async fn does(&self, arguments: &[&str]) -> String {
        said(&self.tries(arguments).await)
    }

    async fn told(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.does(&[arguments, &["--format", "json"]].concat()).await).unwrap()
    }

    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.tries(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stderr)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_pushed_approved_rolled_back_and_followed_by_every_replica() {
    let ground = Ground::new().await.unwrap();
    let policy = "source = \"database\"\npath = \"policies\"\napproval = \"widening\"";
    let settings = Settings { tls: true, policy, ..Settings::default() };
    let one = ground.start_with(&settings).await.unwrap();
    let two = ground.start_with(&settings).await.unwrap();
    let ada = Operator::new(&ground, &one, "ada", "1").await;
    let first = ada.told(&["policy", "list"]).await["active"].as_str().unwrap().to_owned();

    // The operators work in a checkout of their own; the folder that the brokers began with is read no more.
    let work: PathBuf = ground.path("checkout");
    copy(&ground.path("policies"), &work);
    std::fs::remove_dir_all(ground.path("policies")).unwrap();
    std::fs::create_dir(ground.path("policies")).unwrap();
    let folder = work.to_str().unwrap();
    std::fs::write(work.join("broken.toml"), "[role.shop-x]\nttl = 7\n").unwrap();
    let refused = ada.refused(&["policy", "apply", folder]).await;
    assert!(refused.contains("policy_unsound") && refused.contains("broken.toml:2:"), "{refused}");
    std::fs::remove_file(work.join("broken.toml")).unwrap();
    assert_eq!(ada.told(&["policy", "apply", folder]).await["outcome"], "unchanged");

    // It widens: it waits for somebody else.
    std::fs::write(work.join("shop-preview.toml"), PREVIEW).unwrap();
    let dry = ada.told(&["policy", "apply", folder, "--dry-run"]).await;
    assert_eq!(
        (&dry["outcome"], &dry["adds"]),
        (&json!("sound"), &json!(["the role shop-preview lets in more tokens of github"]))
    );
    let pushed = ada.told(&["policy", "apply", folder, "--from", &first[..12]]).await;
    assert_eq!(pushed["outcome"], "proposed");
    let second = pushed["hash"].as_str().unwrap().to_owned();
    assert_eq!(asked(&one, &preview(), "shop-preview").await, "role_not_allowed");
    let again = Operator::new(&ground, &two, "again", "1").await;
    let refused = again.refused(&["policy", "approve", &second]).await;
    assert!(refused.contains("policy_own_proposal"), "the same person by another job: {refused}");
    let grace = Operator::new(&ground, &two, "grace", "2").await;
    let list = grace.does(&["policy", "list"]).await;
    assert!(list.contains("waits for a second operator") && list.contains("shop-preview lets in more tokens"), "{list}");
    assert!(grace.does(&["policy", "show", &second[..8], "--files"]).await.contains("# shop-preview.toml"));
    let short = grace.refused(&["policy", "approve", &second[..12]]).await;
    assert!(short.contains("the whole hash"), "{short}");
    grace.does(&["policy", "approve", &second]).await;
    everywhere(&[&one, &two], preview(), "shop-preview", "").await;

    // Thought better of: no replica lets it through any more.
    std::fs::write(work.join("shop-preview.toml"), PREVIEW.replace("preview\"", "test\"")).unwrap();
    let meant = ada.told(&["policy", "apply", folder]).await["hash"].as_str().unwrap().to_owned();
    assert!(ada.does(&["policy", "withdraw", &meant[..8]]).await.contains("nobody can approve it any more"));
    let refused = grace.refused(&["policy", "approve", &meant]).await;
    assert!(refused.contains("policy_withdrawn"), "{refused}");
    assert!(grace.does(&["policy", "list"]).await.contains("withdrawn by github"));

    // Somebody has worked from the old one.
    std::fs::write(work.join("shop-preview.toml"), PREVIEW.replace("preview\"", "staging\"")).unwrap();
    let refused = ada.refused(&["policy", "apply", folder, "--from", &first]).await;
    assert!(refused.contains("policy_conflict") && refused.contains(&second), "{refused}");

    // Back: it only takes away, so it needs nobody.
    assert_eq!(ada.told(&["policy", "rollback", &first[..12]]).await["outcome"], "activated");
    everywhere(&[&one, &two], preview(), "shop-preview", "role_not_allowed").await;
    // One that starts now has what was pushed.
    let three = ground.start_with(&settings).await.unwrap();
    assert_eq!(asked(&three, &deploy_claims(), "shop-deploy-prod").await, "");
    assert_eq!(asked(&three, &preview(), "shop-preview").await, "role_not_allowed");

    // The last resort, on the broker's own machine.
    std::fs::write(work.join("shop-preview.toml"), PREVIEW).unwrap();
    let mut adopt = tokio::process::Command::new(integration::replica::program("daypass-broker").unwrap());
    adopt.env_clear().args(["adopt-policy", "--config", one.config.to_str().unwrap(), folder]);
    assert!(said(&run(&mut adopt).await).contains(&second));
    everywhere(&[&one, &two, &three], preview(), "shop-preview", "").await;
    let kinds = ground.databases.kinds().await.unwrap();
    for (kind, count) in
        [("policy.activated", 4), ("policy.proposed", 2), ("policy.withdrawn", 1), ("policy.approved", 1), ("policy.refused", 3)]
    {
        assert_eq!(kinds.iter().filter(|told| *told == kind).count(), count, "{kind}: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_and_an_issuer_are_switched_off_everywhere_and_on_again() {
    let ground = Ground::new().await.unwrap();
    let settings = Settings { tls: true, ..Settings::default() };
    let one = ground.start_with(&settings).await.unwrap();
    let two = ground.start_with(&settings).await.unwrap();
    let ops = Operator::new(&ground, &one, "ops", "1").await;
    ops.does(&["role", "disable", "shop-deploy-prod", "--reason", "a leak"]).await;
    everywhere(&[&one, &two], deploy_claims(), "shop-deploy-prod", "role_disabled").await;
    let roles = ops.does(&["role", "list"]).await;
    assert!(
        roles.lines().any(|line| line.contains("shop-deploy-prod") && line.contains("disabled") && line.contains("a leak")),
        "{roles}"
    );
    ops.does(&["role", "enable", "shop-deploy-prod"]).await;
    everywhere(&[&one, &two], deploy_claims(), "shop-deploy-prod", "").await;

    let refused = ops.refused(&["issuer", "disable", "github", "--reason", "a breach"]).await;
    assert!(refused.contains("locked_out"), "{refused}");
    ops.does(&["issuer", "disable", "github", "--reason", "a breach", "--lock-out"]).await;
    everywhere(&[&one, &two], deploy_claims(), "shop-deploy-prod", "issuer_disabled").await;
    let issuers = ops.told(&["issuer", "list"]).await;
    let github = issuers.as_array().unwrap().iter().find(|issuer| issuer["name"] == "github").unwrap();
    assert_eq!(github["disabled"]["reason"], "a breach");
    ops.does(&["issuer", "enable", "github"]).await;
    everywhere(&[&one, &two], deploy_claims(), "shop-deploy-prod", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_folder_is_taken_over_by_itself_and_a_broken_one_is_told_of() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let until = async |what: &str, done: &dyn Fn(&str, &str) -> bool| {
        let end = Instant::now() + PATIENCE;
        loop {
            let ready = replica.metrics.ask("GET", "/readyz", None, None).await.unwrap();
            if ready.status == 200 && done(&ready.body, &asked(&replica, &preview(), "shop-preview").await) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {}", replica.output());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    ground.policy("shop-preview.toml", PREVIEW).unwrap();
    until("the new role", &|_, code| code.is_empty()).await;
    ground.policy("broken.toml", "[role.shop-x]\nttl = 7\n").unwrap();
    until("the broken set", &|ready, code| ready.contains("policy") && code.is_empty()).await;
    let told = replica.metrics.ask("GET", "/metrics", None, None).await.unwrap();
    assert!(told.body.contains("daypass_policy_refused 1"), "{}", told.body);
    assert!(replica.output().contains("broken.toml:2:"), "{}", replica.output());
    std::fs::remove_file(ground.path("policies/broken.toml")).unwrap();
    until("it is mended", &|ready, code| !ready.contains("policy") && code.is_empty()).await;
}

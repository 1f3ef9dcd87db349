//! The real command line in a job's surroundings, against a real broker.

use std::path::Path;
use std::process::{Output, Stdio};

use integration::ci::{AUDIENCE, Ci};
use integration::ground::{Ground, Settings, checkout, deploy_claims, operator_claims};
use integration::replica::{PATIENCE, Replica, program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

async fn world() -> (Ground, Replica) {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start_with(&Settings { tls: true, ..Settings::default() }).await.unwrap();
    (ground, replica)
}

/// `daypass` as a job on GitHub finds it: nothing of this process's surroundings.
pub(crate) fn daypass(ground: &Ground, replica: &Replica, home: &str, claims: &Value) -> Command {
    let ci = Ci::shared().unwrap();
    let job = ci.issuer.job(claims.as_object().unwrap()).unwrap();
    let home = ground.path(home);
    std::fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(program("daypass").unwrap());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &home).current_dir(&home);
    command.env("DAYPASS_ADDR", &replica.native.base).env("DAYPASS_OPERATOR_ADDR", &replica.operator.base);
    command.env("DAYPASS_CACERT", ground.path("ca.pem")).env("DAYPASS_CI_CACERT", ground.path("ca.pem"));
    command.env("DAYPASS_AUDIENCE", AUDIENCE).env("DAYPASS_SESSION_FILE", home.join("session"));
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", &job.request_url).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &job.request_token);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub(crate) async fn run(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("an end in time").unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_hands_over_credentials_passes_the_exit_code_on_and_gives_them_back() {
    let (ground, replica) = world().await;
    ground.store_secret(&replica, "secret/shop/registry", &json!({"username": "ci", "password": "p-1"})).await.unwrap();
    let mut job = daypass(&ground, &replica, "job", &deploy_claims());
    let script = "echo $PGUSER $PGDATABASE $REGISTRY_PASSWORD ${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-none}; exit 7";
    job.args(["exec", "--role", "shop-deploy-prod", "-C", "database", "-C", "registry", "--", "sh", "-c", script]);
    let output = run(&mut job).await;
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let words = text(&output.stdout);
    let words: Vec<&str> = words.split_whitespace().collect();
    assert!(words[0].starts_with("dp_"), "{words:?}");
    assert_eq!(words[1..], [ground.databases.shop().as_str(), "p-1", "none"]);
    assert!(ground.databases.logins().await.unwrap().is_empty(), "given back before it ended");
    assert_eq!(ground.databases.count("leases where state = 'revoked'").await.unwrap(), 1);

    let mut fork = daypass(&ground, &replica, "fork", &json!({"event_name": "pull_request", "environment": "production"}));
    fork.args(["exec", "--role", "shop-deploy-prod", "--", "touch", "ran"]);
    let output = run(&mut fork).await;
    assert!(!output.status.success() && !ground.path("fork/ran").exists(), "nothing ran");
    assert!(text(&output.stderr).contains("role_not_allowed"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_reaches_the_command_and_the_credentials_are_given_back_all_the_same() {
    let (ground, replica) = world().await;
    let mut job = daypass(&ground, &replica, "job", &deploy_claims());
    let script = "trap 'exit 42' TERM; echo started; while :; do sleep 0.05; done";
    job.args(["exec", "--role", "shop-deploy-prod", "-C", "database", "--", "sh", "-c", script]);
    let mut child = job.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap();
    assert_eq!(line.as_deref(), Some("started"));
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1);
    let id = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("an end in time").unwrap();
    assert_eq!(status.code(), Some(42));
    assert!(ground.databases.logins().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_session_serves_env_read_and_whoami_until_it_is_released() {
    let (ground, replica) = world().await;
    ground.store_secret(&replica, "secret/shop/registry", &json!({"username": "ci", "password": "it's $HOME"})).await.unwrap();
    let job = |arguments: &[&str]| {
        let mut command = daypass(&ground, &replica, "job", &deploy_claims());
        command.args(arguments);
        command
    };
    said(&run(&mut job(&["login", "--role", "shop-deploy-prod", "-C", "registry"])).await);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(ground.path("job/session")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let whoami: Value = serde_json::from_str(&said(&run(&mut job(&["whoami", "--format", "json"])).await)).unwrap();
    assert_eq!((whoami["role"].as_str(), whoami["project"].as_str()), (Some("shop-deploy-prod"), Some("acme/shop")));
    assert_eq!(said(&run(&mut job(&["read", "registry.password"])).await), "it's $HOME\n");

    let exports = said(&run(&mut job(&["env", "-C", "registry", "-C", "database"])).await);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{exports}\nprintf '%s' \"$REGISTRY_PASSWORD\"")]).env_clear().env("PATH", "/usr/bin:/bin");
    assert_eq!(said(&run(&mut shell).await), "it's $HOME", "quoted for every shell");
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1);
    said(&run(&mut job(&["release"])).await);
    assert!(ground.databases.logins().await.unwrap().is_empty());
    assert!(!ground.path("job/session").exists());
    assert!(!run(&mut job(&["whoami"])).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_keeps_secrets_and_reads_the_trail() {
    let (ground, replica) = world().await;
    let operator = |arguments: &[&str]| {
        let mut command = daypass(&ground, &replica, "operator", &operator_claims());
        command.args(arguments);
        command
    };
    said(&run(&mut operator(&["login", "--role", "operators"])).await);
    for (value, arguments) in [("one", &["--cas", "0"][..]), ("two", &["--cas", "1"]), ("three", &[])] {
        let mut put = operator(&["secret", "put", "secret/shop/registry"]);
        let mut child = put.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(json!({"password": value}).to_string().as_bytes()).await.unwrap();
        drop(stdin);
        said(&tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("an end in time").unwrap());
    }
    let file = ground.path("operator/late.json");
    std::fs::write(&file, "{\"password\": \"late\"}").unwrap();
    let late =
        run(&mut operator(&["secret", "put", "secret/shop/registry", "--cas", "1", "--file", file.to_str().unwrap()])).await;
    assert!(!late.status.success() && text(&late.stderr).contains("secret_conflict"), "{}", text(&late.stderr));

    let get = async |more: &[&str]| {
        let mut command = operator(&["secret", "get", "secret/shop/registry", "--field", "password"]);
        said(&run(command.args(more)).await).trim_end().to_owned()
    };
    assert_eq!(get(&[]).await, "three");
    assert_eq!(get(&["--version", "1"]).await, "one");
    ground.store_secret(&replica, "secret/shopping/cart", &json!({"password": "other"})).await.unwrap();
    let list = async |at: &str| said(&run(&mut operator(&["secret", "list", at])).await);
    assert_eq!(list("secret/shop").await.split_whitespace().collect::<Vec<_>>(), ["PATH", "registry"], "whole segments only");
    assert_eq!(list("secret").await.split_whitespace().collect::<Vec<_>>(), ["PATH", "shop/", "shopping/"]);
    said(&run(&mut operator(&["secret", "rollback", "secret/shop/registry", "--to", "2"])).await);
    assert_eq!(get(&[]).await, "two");
    said(&run(&mut operator(&["secret", "delete", "secret/shop/registry"])).await);
    let deleted = run(&mut operator(&["secret", "get", "secret/shop/registry"])).await;
    assert!(!deleted.status.success() && text(&deleted.stderr).contains("secret_deleted"), "{}", text(&deleted.stderr));
    let history: Value = serde_json::from_str(&said(
        &run(&mut operator(&["secret", "history", "secret/shop/registry", "--format", "json"])).await,
    ))
    .unwrap();
    assert_eq!(history["versions"].as_array().unwrap().len(), 4, "{history}");

    let trail = said(&run(&mut operator(&["audit", "list", "--format", "json", "--limit", "100"])).await);
    let trail: Value = serde_json::from_str(&trail).unwrap();
    let kinds: Vec<&str> = trail["records"].as_array().unwrap().iter().filter_map(|record| record["kind"].as_str()).collect();
    for (kind, times) in [("secret.written", 4), ("secret.rolled_back", 1), ("secret.deleted", 1), ("secret.read", 3)] {
        assert_eq!(kinds.iter().filter(|known| **known == kind).count(), times, "{kind}: {kinds:?}");
    }
    for value in ["one", "two", "three", "late"] {
        assert!(!trail.to_string().contains(&format!("\"{value}\"")), "{value} stands in the trail");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_starter_policies_are_sound_and_a_refusal_names_the_fix() {
    let (ground, replica) = world().await;
    let check = async |folder: &Path| {
        let mut command = daypass(&ground, &replica, "job", &deploy_claims());
        run(command.args(["policy", "check"]).arg(folder)).await
    };
    said(&check(&checkout().join("policies")).await);
    ground.add_policy("shop.toml", "[role.shop-open]\nttl = \"5m\"\n[[role.shop-open.allow]]\nissuer = \"github\"\n").unwrap();
    let unsound = check(&ground.path("policies")).await;
    let told = text(&unsound.stdout) + &text(&unsound.stderr);
    assert!(unsound.status.code() == Some(1) && told.contains("shop.toml"), "{told}");

    let mut bare = daypass(&ground, &replica, "job", &deploy_claims());
    bare.env_remove("ACTIONS_ID_TOKEN_REQUEST_URL").env_remove("ACTIONS_ID_TOKEN_REQUEST_TOKEN").env("GITHUB_ACTIONS", "true");
    let output = run(bare.args(["exec", "--role", "shop-deploy-prod", "--", "true"])).await;
    assert!(!output.status.success() && text(&output.stderr).contains("id-token: write"), "{}", text(&output.stderr));
}

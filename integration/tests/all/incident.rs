//! "A token leaked, what now?": the commands of docs/incident.md, as an operator would type them.

use integration::ground::{Ground, Settings, deploy_claims, operator_claims};
use integration::replica::PATIENCE;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::client::{daypass, run, said, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_credential_is_found_taken_back_and_its_subject_stopped_on_every_replica() {
    let ground = Ground::new().await.unwrap();
    let settings = Settings { tls: true, ..Settings::default() };
    let replica = ground.start_with(&settings).await.unwrap();
    let second = ground.start_with(&settings).await.unwrap();
    ground.store_secret(&replica, "secret/shop/registry", &json!({"username": "ci", "password": "p-1"})).await.unwrap();
    let ci = integration::ci::Ci::shared().unwrap();
    let ask = json!({"role": "shop-deploy-prod", "credentials": ["database", "registry"]});
    let token = || ci.github(&deploy_claims()).unwrap();
    let granted = replica.native.exchange(&token(), ask.clone()).await.unwrap().granted().unwrap();
    let database = &granted.credentials["database"];
    let (lease, password) = (database.lease_id.clone().unwrap(), database.values["password"].clone());

    let ops = |arguments: &[&str]| {
        let mut command = daypass(&ground, &replica, "ops", &operator_claims());
        command.args(arguments);
        command
    };
    let told = async |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        serde_json::from_str(&said(&run(&mut ops(&arguments)).await)).unwrap()
    };
    said(&run(&mut ops(&["login", "--role", "operators"])).await);

    // Whose is this?
    let mut find = ops(&["lease", "find", "--format", "json"]);
    let mut child = find.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).await.unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("an end in time").unwrap();
    let found: Value = serde_json::from_str(&said(&output)).unwrap();
    assert_eq!((found["found"][0]["what"].as_str(), &found["found"][0]["lease"]["id"]), (Some("credential"), &json!(lease)));
    assert!(!text(&output.stdout).contains(&password));

    // What do they hold? And all of it as a table.
    let listed = told(&["lease", "list", "--repository", "acme/shop", "--state", "active"]).await;
    assert_eq!(listed["leases"].as_array().unwrap().len(), 1);
    assert_eq!(listed["leases"][0]["session"]["project_name"], "acme/shop");
    let table = said(&run(&mut ops(&["lease", "list", "--all"])).await);
    assert!(table.starts_with("LEASE") && table.contains(&lease), "{table}");
    let shown = said(&run(&mut ops(&["lease", "show", &lease])).await);
    assert!(shown.contains(&database.values["username"]) && shown.contains("active"), "{shown}");
    let renewed = told(&["lease", "renew", "--any", &lease]).await;
    assert_eq!(renewed["lease"]["id"], json!(lease));

    // Take that one back.
    let empty = run(&mut ops(&["lease", "revoke"])).await;
    assert_eq!(empty.status.code(), Some(2), "{}", text(&empty.stderr));
    let revoked = told(&["lease", "revoke", "--lease", &lease]).await;
    assert_eq!((revoked["revoked"].as_u64(), revoked["failing"].as_u64()), (Some(1), Some(0)), "{revoked}");
    assert!(ground.login(&database.values).await.is_err());

    // Stop them.
    let again = second.native.exchange(&token(), ask.clone()).await.unwrap().granted().unwrap();
    let killed = told(&["kill", "--repository", "acme/shop", "--reason", "a password in a log"]).await;
    assert_eq!(killed["progress"]["failing"], 0, "{killed}");
    assert!(ground.login(&again.credentials["database"].values).await.is_err(), "what is out is taken back");
    let given: Vec<&str> = killed["given"].as_array().unwrap().iter().filter_map(|given| given["what"].as_str()).collect();
    assert_eq!(given.len(), 4, "{given:?}");
    assert!(given.contains(&"secret/shop/registry@1") && given.contains(&database.values["username"].as_str()), "{given:?}");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    for replica in [&replica, &second] {
        let refused = replica.native.exchange(&token(), ask.clone()).await.unwrap();
        assert_eq!((refused.status, refused.code().as_str()), (403, "exchange_stopped"));
    }

    // And let them in again.
    let stops = told(&["kill", "--list"]).await;
    let stop = stops["stops"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stops["stops"][0]["reason"], "a password in a log");
    assert!(told(&["kill", "--lift", &stop]).await["stops"].as_array().unwrap().is_empty());
    replica.native.exchange(&token(), ask).await.unwrap().granted().unwrap();
}

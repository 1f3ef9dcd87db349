//! The root key is away: what serves goes on with the keys that it has opened, and nothing new begins.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_key_that_is_away_stops_no_broker_that_serves_and_starts_none() {
    let ground = Ground::new().await.unwrap();
    let replica = start(&ground, &Settings::default()).await;
    ground.store_secret(&replica, "secret/shop/registry", &json!({"password": "p-1"})).await.unwrap();
    let granted = replica.native.exchange(&token(), database("10s")).await.unwrap().granted().unwrap();
    let file = ground.path("secrets/root.key");
    std::fs::remove_file(&file).unwrap();

    let late = ground.spawn(&Settings::default()).unwrap().ended().await.unwrap();
    assert_eq!(late.code(), Some(1), "a process that starts has no keys");
    let rotation = tokio::process::Command::new(integration::replica::program("daypass-broker").unwrap())
        .args(["rotate-key", "--config"])
        .arg(&replica.config)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&rotation.stderr).into_owned() + &String::from_utf8_lossy(&rotation.stdout);
    assert!(!rotation.status.success() && told.contains("root.key"), "nor is a new one made: {told}");
    let both = json!({"role": "shop-deploy-prod", "credentials": ["database", "registry"], "ttl": "10s"});
    let more = replica.native.exchange(&token(), both).await.unwrap().granted().unwrap();
    assert!(ground.login(&more.credentials["database"].values).await.is_ok());
    assert_eq!(more.credentials["registry"].values["password"], "p-1", "sealed before, opened now");
    swept(&ground, "root key").await;
    for granted in [&granted, &more] {
        assert!(ground.login(&granted.credentials["database"].values).await.is_err(), "handles are opened too");
    }

    std::fs::write(&file, &ground.root_key).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    start(&ground, &Settings::default()).await;
}

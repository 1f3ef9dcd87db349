//! What is missing, wrong or away: said by name, survived, and over as soon as it is back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use integration::answer::Door;
use integration::ci::Ci;
use integration::cluster::Databases;
use integration::gate::{Gate, Way};
use integration::ground::{Ground, Settings, deploy_claims};
use integration::replica::{PATIENCE, Replica};
use rustix::process::Signal;
use serde_json::{Value, json};

fn registry() -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["registry"]})
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn postgres(ground: &Ground) -> SocketAddr {
    format!("127.0.0.1:{}", ground.databases.port()).parse().unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < limit, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ready(door: &Door) -> Option<u16> {
    door.ask("GET", "/readyz", None, None).await.ok().map(|answer| answer.status)
}

async fn fails(ground: &Ground, settings: &Settings) -> String {
    let mut replica = ground.spawn(settings).unwrap();
    assert_eq!(replica.ended().await.unwrap().code(), Some(1), "{}", replica.output());
    replica.output()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_told_whole_and_stops_the_start() {
    let ground = Ground::of(Databases::bare().await.unwrap()).unwrap();
    let settings = Settings::default();
    let file = ground.configure(&settings).unwrap();
    let good = std::fs::read_to_string(&file).unwrap();
    let bad = good
        .replace("secrets/root.key", "secrets/no-such.key")
        .replace("secrets/database.password", "secrets/no-such.password")
        .replace("native = \"127.0.0.1:0\"", "native = \"0.0.0.0:0\"")
        .replace("engine = \"postgres\"", "engine = \"oracle\"")
        + "\n[lisen]\n";
    std::fs::write(&file, bad).unwrap();
    let mut replica = Replica::spawn(&file, &settings).unwrap();
    assert_eq!(replica.ended().await.unwrap().code(), Some(1));
    let said = replica.output();
    for problem in [
        "no-such.key does not exist",
        "no-such.password does not exist",
        "tls is needed",
        "\"oracle\" is not one of",
        "[lisen] is not a section",
    ] {
        assert!(said.contains(problem), "{problem} is not told: {said}");
    }
    let mut nowhere = Replica::spawn(&ground.path("nowhere.toml"), &settings).unwrap();
    assert_eq!(nowhere.ended().await.unwrap().code(), Some(1));
    assert!(nowhere.output().contains("nowhere.toml"), "{}", nowhere.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_cannot_succeed_names_the_remedy() {
    let ground = Ground::of(Databases::bare().await.unwrap()).unwrap();
    let settings = Settings::default();
    ground.policy("broken.toml", "[role.x]\nttl = \"10\"\nfoo = 1\n").unwrap();
    let unsound = fails(&ground, &settings).await;
    assert!(unsound.contains("broken.toml:2") && unsound.contains("foo"), "every problem, with its place: {unsound}");
    std::fs::remove_file(ground.path("policies/broken.toml")).unwrap();
    ground.starter_policies(Ci::shared().unwrap()).unwrap();

    let missing = fails(&ground, &settings).await;
    assert!(missing.contains("daypass-broker migrate"), "{missing}");
    ground.databases.migrate().await.unwrap();
    drop(ground.start().await.unwrap());

    std::fs::write(ground.path("secrets/root.key"), "ab".repeat(32)).unwrap();
    let wrong_key = fails(&ground, &settings).await;
    assert!(wrong_key.contains("root key") && !wrong_key.contains(&"ab".repeat(32)), "{wrong_key}");
    std::fs::write(ground.path("secrets/root.key"), &ground.root_key).unwrap();
    std::fs::write(ground.path("secrets/database.password"), "wrong-password").unwrap();
    let mut refused = ground.spawn(&settings).unwrap();
    refused.says("password authentication failed").await.unwrap();
    assert!(!refused.output().contains("wrong-password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_at_the_start_is_waited_for() {
    let ground = Ground::new().await.unwrap();
    let gate = Gate::before(postgres(&ground), Way::Closed).await.unwrap();
    let settings = Settings { database_port: Some(gate.port), metrics: free_port(), ..Settings::default() };
    let mut replica = ground.spawn(&settings).unwrap();
    until("it says that it is not ready", async || ready(&replica.metrics).await == Some(503)).await;
    replica.says("the database does not answer yet").await.unwrap();
    replica.signal(Signal::HUP).unwrap();
    assert_eq!(replica.metrics.ask("GET", "/healthz", None, None).await.unwrap().status, 200, "it is alive");
    gate.turn(Way::Open);
    replica.ready().await.unwrap();
    until("it is ready", async || ready(&replica.metrics).await == Some(200)).await;
    assert_eq!(ready(&replica.native).await, Some(200), "told at every listener");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_leaves_nothing_half_done_and_needs_no_restart() {
    let ground = Ground::new().await.unwrap();
    let gate = Gate::before(postgres(&ground), Way::Open).await.unwrap();
    let replica = ground.start_with(&Settings { database_port: Some(gate.port), ..Settings::default() }).await.unwrap();
    ground.store_secret(&replica, "secret/shop/registry", &json!({"password": "p"})).await.unwrap();
    let session = ground.operator(&replica).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let before = ground.databases.count("sessions").await.unwrap();

    gate.turn(Way::Closed);
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(3) {
        for body in [registry(), json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "1m"})] {
            let answer = replica.native.exchange(&token, body).await.unwrap();
            assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "unavailable"), "{answer:?}");
            assert!(answer.header("retry-after").parse::<u32>().is_ok());
        }
        let answer = replica.native.get("/api/v1/whoami", &session).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("it leaves rotation", async || ready(&replica.native).await == Some(503)).await;
    assert!(ground.databases.logins().await.unwrap().is_empty());
    assert_eq!(ground.databases.count("sessions").await.unwrap(), before);
    assert_eq!(ground.databases.count("leases").await.unwrap(), 0);

    gate.turn(Way::Open);
    until("it comes back", async || ready(&replica.native).await == Some(200)).await;
    let granted = replica.native.exchange(&token, registry()).await.unwrap();
    assert_eq!(granted.status, 200, "the token was not spent meanwhile: {granted:?}");
    assert_eq!(replica.native.get("/api/v1/whoami", &session).await.unwrap().status, 200, "no session was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_hands_out_nothing_and_gets_its_logins_back_later() {
    let ground = Ground::new().await.unwrap();
    let gate = Gate::before(postgres(&ground), Way::Open).await.unwrap();
    let replica = ground.start_with(&Settings { shop_port: Some(gate.port), ..Settings::default() }).await.unwrap();
    let ci = Ci::shared().unwrap();
    let ask = |ttl: &str| json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": ttl});
    let granted = replica.native.exchange(&ci.github(&deploy_claims()).unwrap(), ask("6s")).await.unwrap().granted().unwrap();
    gate.turn(Way::Closed);
    let refused = replica.native.exchange(&ci.github(&deploy_claims()).unwrap(), ask("1m")).await.unwrap();
    assert_eq!((refused.status, refused.problem().unwrap().code.as_str()), (503, "credential_not_available"), "{refused:?}");
    let lease = granted.credentials["database"].lease_id.clone().unwrap();
    let tried = format!("leases where id = '{lease}' and attempt > 1");
    until("a worker tries again and again", async || ground.databases.count(&tried).await.unwrap() == 1).await;
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1, "it cannot be reached, so it is still there");
    gate.turn(Way::Open);
    let lost = &granted.credentials["database"].values;
    until("it is taken back", async || ground.databases.logins().await.unwrap().is_empty()).await;
    assert!(ground.login(lost).await.is_err());
    until("its lease is over", async || ground.databases.count("leases where due_at is not null").await.unwrap() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_fetched_are_said_to_be_and_keys_that_were_go_on() {
    let ground = Ground::new().await.unwrap();
    // The issuer is known by the gate's address.
    let listener_first = Gate::before("127.0.0.1:9".parse().unwrap(), Way::Silent).await.unwrap();
    let base = format!("https://localhost:{}", listener_first.port);
    drop(listener_first);
    let ci = Ci::start(Some(&base)).unwrap();
    let gate = Gate::at(base.rsplit_once(':').unwrap().1.parse().unwrap(), ci.address, Way::Silent).await.unwrap();
    ground.starter_policies(&ci).unwrap();
    let replica = ground.start().await.unwrap();
    let token = || {
        ci.github(&json!({"repository": "acme/platform", "repository_id": "640001",
        "event_name": "workflow_dispatch", "environment": "broker-operators"}))
            .unwrap()
    };
    let ask = async |replica: &Replica| replica.native.exchange(&token(), json!({"role": "operators"})).await.unwrap();
    for way in [Way::Silent, Way::Closed] {
        gate.turn(way);
        let answer = ask(&replica).await;
        assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "keys_unavailable"), "{way:?}: {answer:?}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok());
    }
    // The shared CI's own keys are not this one's.
    drop(replica);
    gate.turn(Way::Open);
    let replica = ground.start().await.unwrap();
    assert_eq!(ask(&replica).await.status, 200);
    gate.turn(Way::Closed);
    assert_eq!(ask(&replica).await.status, 200, "keys that are held go on");
    until("the keys are kept", async || ground.databases.count("issuer_keys").await.unwrap() > 0).await;
    drop(replica);
    let restarted = ground.start().await.unwrap();
    assert_eq!(ask(&restarted).await.status, 200, "also after a restart, from what was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_open_requests_finish() {
    let ground = Ground::new().await.unwrap();
    let settings = Settings { failpoints: "exchange::after_create=delay:1500".to_owned(), ..Settings::default() };
    let mut replica = ground.start_with(&settings).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let door = replica.native.clone();
    let open = tokio::spawn(async move {
        door.exchange(&token, json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "1m"})).await
    });
    until("the login is made", async || !ground.databases.logins().await.unwrap().is_empty()).await;
    replica.signal(Signal::TERM).unwrap();
    until("no new connections", async || ready(&replica.native).await != Some(200)).await;
    let granted = open.await.unwrap().unwrap().granted().unwrap();
    assert!(ground.login(&granted.credentials["database"].values).await.is_ok());
    assert!(replica.ended().await.unwrap().success(), "{}", replica.output());
    assert!(replica.output().contains("\"stopped\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_takes_a_good_policy_set_and_refuses_a_bad_one() {
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start().await.unwrap();
    let set = "\n[role.shop-new]\nttl = \"5m\"\n[[role.shop-new.allow]]\nissuer = \"github\"\nrepository_owner_id = \"9919\"\n\
               repository_id = \"637712\"\nref = \"refs/heads/main\"\nenvironment = \"new\"\n\
               [role.shop-new.credential.database]\nengine = \"postgres\"\nconnection = \"shop\"\nstatements = \"readwrite\"\n";
    let ask = async || {
        let token = Ci::shared().unwrap().github(&json!({"environment": "new"})).unwrap();
        replica.native.exchange(&token, json!({"role": "shop-new", "ttl": "1m"})).await.unwrap()
    };
    assert_eq!(ask().await.code(), "role_not_allowed");
    let good = std::fs::read_to_string(ground.path("policies/shop.toml")).unwrap();
    ground.policy("shop.toml", &(good.clone() + &set.replace("ref = ", "reff = "))).unwrap();
    let config = std::fs::read_to_string(&replica.config).unwrap();
    let changed = config.replace("[connection.shop]\n", "[connection.shop]\nconcurrency = 7\n");
    std::fs::write(&replica.config, changed).unwrap();
    let version = async || {
        let mut records = ground.databases.records().await.unwrap();
        sqlx::query_scalar::<_, i64>("select version from daypass.connections").fetch_one(&mut records).await.unwrap()
    };
    replica.signal(Signal::HUP).unwrap();
    until("it is refused", async || replica.output().contains("the one before stays active")).await;
    assert!(replica.output().contains("reff"), "with its place");
    assert_eq!(ask().await.code(), "role_not_allowed");
    assert_eq!(version().await, 1, "nothing of what came with it counts");

    ground.policy("shop.toml", &(good + set)).unwrap();
    replica.signal(Signal::HUP).unwrap();
    replica.says("a new policy set is active").await.unwrap();
    let ask = async || {
        let token = Ci::shared().unwrap().github(&json!({"environment": "new"})).unwrap();
        replica.native.exchange(&token, json!({"role": "shop-new", "ttl": "1m"})).await.unwrap()
    };
    assert_eq!(ask().await.status, 200);
    assert_eq!(version().await, 2);
    assert_eq!(ground.databases.count("policy_sets").await.unwrap(), 2, "every set that was active is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_takes_a_new_certificate_and_keeps_the_old_one_from_a_bad_file() {
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start_with(&Settings { tls: true, ..Settings::default() }).await.unwrap();
    assert_eq!(ready(&replica.native).await, Some(200));
    std::fs::write(ground.path("secrets/tls.pem"), "no certificate").unwrap();
    replica.signal(Signal::HUP).unwrap();
    replica.says("the one before goes on serving").await.unwrap();
    assert_eq!(ready(&replica.native).await, Some(200));
    let before = served(&replica.native).await;
    ground.certificate().unwrap();
    replica.signal(Signal::HUP).unwrap();
    until("the new one serves", async || served(&replica.native).await != before).await;
    let plain = replica.native.base.replace("https://", "http://");
    assert!(replica.native.client.get(format!("{plain}/readyz")).send().await.is_err(), "nothing in clear");
}

/// The certificate that a listener shows.
async fn served(door: &Door) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = Ci::shared().unwrap().ca.clone();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(door.base.split_once("://").unwrap().1).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

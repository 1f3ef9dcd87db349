//! What a session may ask later on, and what operators may do.

use integration::ci::Ci;
use integration::ground::{Ground, deploy_claims};
use rustix::process::Signal;
use serde_json::json;

/// A role whose secrets the caller names.
const GLOB: &str = r#"
[role.shop-reader]
ttl = "10m"
[[role.shop-reader.allow]]
issuer = "github"
repository_owner_id = "9919"
repository_id = "637712"
ref = "refs/heads/main"
environment = "staging"
[role.shop-reader.credential.any]
engine = "kv"
path = "shop/*"
[role.shop-reader.credential.registry]
engine = "kv"
path = "shop/registry"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_names_the_secrets_that_its_role_reaches_and_no_others() {
    let ground = Ground::new().await.unwrap();
    ground.add_policy("shop.toml", GLOB).unwrap();
    let replica = ground.start().await.unwrap();
    for (path, value) in [("shop/registry", "one"), ("shop/deeper/down", "two"), ("other/thing", "three")] {
        ground.store_secret(&replica, &format!("secret/{path}"), &json!({"value": value, "port": 5432})).await.unwrap();
    }
    let token = Ci::shared().unwrap().github(&json!({"environment": "staging"})).unwrap();
    let opened = replica.native.exchange(&token, json!({"role": "shop-reader", "credentials": ["registry"]})).await.unwrap();
    let session = opened.granted().unwrap().session.token.unwrap();
    let ask = async |body| replica.native.post("/api/v1/session/credentials", &session, &body).await.unwrap();
    let wanted = |path: &str| json!({"credentials": ["any"], "input": {"any": {"path": path}}});

    let granted = ask(wanted("shop/registry")).await.granted().unwrap();
    let values = &granted.credentials["any"].values;
    assert_eq!((values["value"].as_str(), values["port"].as_str()), ("one", "5432"));
    assert!(granted.session.token.is_none(), "the session's token is told once");
    for beyond in ["other/thing", "shop/deeper/down", "shop/nothing", "shop/../other/thing", "/shop/registry", "shop/*", ""] {
        let answer = ask(wanted(beyond)).await;
        let problem = answer.problem().unwrap();
        assert!(
            matches!((problem.status, problem.code.as_str()), (404, "secret_unknown") | (400, "request_malformed")),
            "{beyond}: {answer:?}"
        );
        assert!(!answer.body.contains("three"), "{answer:?}");
    }
    let unnamed = ask(json!({"credentials": ["any"]})).await;
    assert_eq!((unnamed.status, unnamed.code().as_str()), (400, "request_malformed"));
    let unknown = ask(json!({"credentials": ["nothing"]})).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (403, "credential_unknown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_decided_again_under_the_policy_of_now() {
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start().await.unwrap();
    ground.store_secret(&replica, "secret/shop/registry", &json!({"password": "p"})).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let body = json!({"role": "shop-deploy-prod", "credentials": ["registry"]});
    let session = replica.native.exchange(&token, body).await.unwrap().granted().unwrap().session.token.unwrap();
    let ask = json!({"credentials": ["registry"]});
    assert_eq!(replica.native.post("/api/v1/session/credentials", &session, &ask).await.unwrap().status, 200);

    let shop = std::fs::read_to_string(ground.path("policies/shop.toml")).unwrap();
    ground.policy("shop.toml", &shop.replace("refs/heads/main", "refs/heads/release")).unwrap();
    std::fs::remove_file(ground.path("policies/cases/shop.toml")).unwrap();
    replica.signal(Signal::HUP).unwrap();
    replica.says("a new policy set is active").await.unwrap();
    let answer = replica.native.post("/api/v1/session/credentials", &session, &ask).await.unwrap();
    assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (403, "role_not_allowed"));
    let whoami = replica.native.get("/api/v1/whoami", &session).await.unwrap();
    assert_eq!(whoami.status, 403, "{whoami:?}");
    assert!(ground.databases.kinds().await.unwrap().contains(&"session.denied".to_owned()));
    let released = replica.native.delete("/api/v1/session", &session).await.unwrap();
    assert_eq!(released.status, 200, "what it holds it may always give back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_whole_session_token_opens_a_session() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let ci = Ci::shared().unwrap();
    let token = ci.github(&deploy_claims()).unwrap();
    let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "1m"});
    let session = replica.native.exchange(&token, body).await.unwrap().granted().unwrap().session.token.unwrap();
    assert_eq!(replica.native.get("/api/v1/whoami", &session).await.unwrap().status, 200);
    let swapped = if session.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{swapped}", &session[..session.len() - 1]);
    for bad in [&session[..session.len() - 1], &changed, "dps_", "garbage", token.as_str(), "", &session.to_lowercase()] {
        for (method, path) in [
            ("GET", "/api/v1/whoami"),
            ("GET", "/api/v1/leases"),
            ("DELETE", "/api/v1/session"),
            ("POST", "/api/v1/session/credentials"),
        ] {
            let answer = replica.native.ask(method, path, Some(bad), Some(&json!({}))).await.unwrap();
            let problem = answer.problem().unwrap();
            assert_eq!(problem.status, 401, "{method} {path} with {bad:?}: {answer:?}");
            assert!(matches!(problem.code.as_str(), "session_unknown" | "session_missing"), "{answer:?}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
            assert!(bad.len() < 20 || !answer.body.contains(bad), "it is repeated: {answer:?}");
        }
    }
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operator_routes_need_rights_and_stand_on_their_own_listener() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let operator = ground.operator(&replica).await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "1m"});
    let job = replica.native.exchange(&token, body).await.unwrap().granted().unwrap().session.token.unwrap();
    let write = json!({"data": {"password": "p"}});
    let decision = "/api/v1/explain/01a0c450-6c00-7c42-b57a-5522f8971a7f";
    for (method, path, body) in [
        ("GET", "/api/v1/audit", None),
        ("GET", decision, None),
        ("GET", "/api/v1/decisions", None),
        ("PUT", "/api/v1/secrets/secret/other/thing", Some(&write)),
        ("GET", "/api/v1/secrets/secret/other/thing", None),
        ("GET", "/api/v1/secrets/secret", None),
        ("DELETE", "/api/v1/secrets/secret/other/thing", None),
        ("POST", "/api/v1/secrets/secret/other/thing?rollback=1", None),
    ] {
        let answer = replica.operator.ask(method, path, Some(&job), body).await.unwrap();
        assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (403, "right_missing"), "{method} {path}");
        let nobody = replica.operator.ask(method, path, None, body).await.unwrap();
        assert_eq!((nobody.status, nobody.problem().unwrap().code.as_str()), (401, "session_missing"), "{method} {path}");
        for (door, session) in [(&replica.native, &operator), (&replica.metrics, &operator)] {
            let answer = door.ask(method, path, Some(session), body).await.unwrap();
            // Jobs reach the secrets of their role at these addresses; an operator's rights do not count there.
            let closed = matches!(answer.status, 404 | 405) || (answer.status, answer.code().as_str()) == (403, "right_missing");
            assert!(closed, "{method} {path} is not for operators here: {answer:?}");
        }
    }
    let exchange = replica.operator.exchange(&token, json!({})).await.unwrap();
    assert_eq!((exchange.status, exchange.code().as_str()), (404, "not_found"), "{exchange:?}");
    assert_eq!(ground.databases.count("secrets").await.unwrap(), 0);
    assert_eq!(replica.operator.get("/api/v1/audit", &operator).await.unwrap().status, 200);
}

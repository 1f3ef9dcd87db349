//! Leases from their beginning to their end, at a real target.

use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, deploy_claims};
use integration::replica::PATIENCE;
use serde_json::{Value, json};
use sqlx::Connection as _;

fn database(ttl: &str) -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": ttl})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_lives_as_long_as_its_lease_and_its_sessions_die_with_it() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let granted = replica.native.exchange(&token, database("6s")).await.unwrap().granted().unwrap();
    let credential = &granted.credentials["database"];
    assert_eq!((credential.ttl, credential.ttl_limited_by.as_deref()), (Some(6), Some("request")));
    let mut open = ground.login(&credential.values).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&mut open).await.unwrap();
    assert_eq!(rows, 1);
    assert!(sqlx::raw_sql("create table mine ()").execute(&mut open).await.is_err(), "it may do what its set says");

    let until = Instant::now() + PATIENCE;
    while !ground.databases.logins().await.unwrap().is_empty() {
        assert!(Instant::now() < until, "the login outlives its lease: {}", replica.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(open.ping().await.is_err(), "a session that was open is terminated");
    assert!(ground.login(&credential.values).await.is_err());
    assert_eq!(ground.databases.count("leases where state = 'revoked' and ended_at is not null").await.unwrap(), 1);
    let kinds = ground.databases.kinds().await.unwrap();
    let ours: Vec<&str> =
        kinds.iter().map(String::as_str).filter(|kind| kind.starts_with("exchange") || kind.starts_with("lease")).collect();
    assert_eq!(ours, ["exchange.asked", "exchange.granted", "lease.revoked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_gives_its_own_leases_back_and_nobody_elses() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let ci = Ci::shared().unwrap();
    let mut granted = Vec::new();
    for _ in 0..2 {
        let token = ci.github(&deploy_claims()).unwrap();
        granted.push(replica.native.exchange(&token, database("10m")).await.unwrap().granted().unwrap());
    }
    let session = |at: usize| granted[at].session.token.clone().unwrap();
    let lease = |at: usize| granted[at].credentials["database"].lease_id.clone().unwrap();
    let path = |at: usize| format!("/api/v1/leases/{}", lease(at));

    for stranger in ["/api/v1/leases/nonsense".to_owned(), path(1), format!("/api/v1/leases/{}", granted[0].session.id)] {
        let answer = replica.native.delete(&stranger, &session(0)).await.unwrap();
        assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (404, "lease_unknown"), "{stranger}");
    }
    assert!(ground.login(&granted[1].credentials["database"].values).await.is_ok(), "nothing happened to the other's");

    let answer = replica.native.delete(&path(0), &session(0)).await.unwrap();
    assert_eq!((answer.status, answer.json()["leases"][0]["state"].as_str()), (200, Some("revoked")), "{answer:?}");
    assert!(ground.login(&granted[0].credentials["database"].values).await.is_err());
    let again = replica.native.delete(&path(0), &session(0)).await.unwrap();
    assert_eq!((again.status, again.json()["leases"][0]["state"].as_str()), (200, Some("revoked")), "told as it is");

    let listed = replica.native.get("/api/v1/leases", &session(1)).await.unwrap().json();
    assert_eq!(listed["leases"].as_array().unwrap().len(), 1);
    assert_eq!(listed["leases"][0]["id"], json!(lease(1)));
    let ended = replica.native.delete("/api/v1/session", &session(1)).await.unwrap();
    assert_eq!((ended.status, ended.json()["leases"][0]["state"].as_str()), (200, Some("revoked")), "{ended:?}");
    assert!(ground.login(&granted[1].credentials["database"].values).await.is_err());
    let over = replica.native.get("/api/v1/leases", &session(1)).await.unwrap();
    assert_eq!((over.status, over.code().as_str()), (401, "session_unknown"), "its token is worth nothing now");
    assert!(ground.databases.logins().await.unwrap().is_empty());
    let kinds = ground.databases.kinds().await.unwrap();
    assert!(kinds.contains(&"lease.released".to_owned()) && kinds.contains(&"session.ended".to_owned()), "{kinds:?}");
}

use std::time::Duration;

use domain::claims::Claims;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::store::secrets::Put;
use crate::store::{Connections, Secrets, Store};
use crate::system::System;

fn bench(secrets: Secrets) -> Bench {
    Bench { system: System::real().0, deployment: "abcdef".to_owned(), connections: Connections::default(), secrets }
}

fn params(params: Value) -> Params {
    serde_json::from_value(params).unwrap()
}

async fn issue(bench: &Bench, params: Params, input: Option<&Value>) -> Result<Issued, EngineError> {
    let claims = Claims::default();
    let now = bench.system.now();
    let ask = Ask {
        lease_id: Uuid::nil(),
        role: "deploy",
        claims: &claims,
        params,
        ttl: Duration::from_mins(15),
        expires_at: now,
        create_deadline: now,
        input,
    };
    let plan = Kv.plan(bench, &ask).await?;
    assert!(!plan.leased && !plan.revocable && plan.upstream.is_none());
    Kv.issue(bench, &ask, &plan).await
}

fn code(outcome: Result<Issued, EngineError>) -> Code {
    match outcome.unwrap_err() {
        EngineError::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

async fn put(store: &Store, path: &str, text: &str) {
    let mut tx = store.begin().await.unwrap();
    let data = Secret::new(text.as_bytes().to_vec());
    tx.put_secret(&Put { mount: "secret", path, data: &data, cas: None, metadata: None, now: store.system().now() })
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn members_become_values(pool: PgPool) {
    let store = crate::store::tests::open(&pool).await;
    put(&store, "shop/registry", r#"{"user":"ci \"bot\"","port":5432,"rate":1.10,"tags":["a", "b"],"none":null}"#).await;
    let bench = bench(store.secrets().clone());
    let issued = issue(&bench, params(json!({"path": "shop/registry"})), None).await.unwrap();
    let values: Vec<_> = issued.values.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(
        values,
        [("none", "null"), ("port", "5432"), ("rate", "1.10"), ("tags", r#"["a", "b"]"#), ("user", r#"ci "bot""#)]
    );
    assert_eq!((issued.facts["path"].as_str(), issued.facts["version"].as_str()), ("shop/registry", "1"));
    put(&store, "shop/registry", r#"{"user":"second"}"#).await;
    let first = issue(&bench, params(json!({"path": "shop/registry", "version": 1})), None).await.unwrap();
    assert_eq!(first.facts["version"], "1");
    let newest = issue(&bench, params(json!({"path": "shop/registry"})), None).await.unwrap();
    assert_eq!(newest.values["user"], Secret::from("second"));
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn a_glob_needs_a_path_within_it(pool: PgPool) {
    let store = crate::store::tests::open(&pool).await;
    put(&store, "shop/registry", r#"{"user":"ci"}"#).await;
    put(&store, "other/registry", r#"{"user":"hidden"}"#).await;
    let bench = bench(store.secrets().clone());
    let glob = || params(json!({"path": "shop/*"}));
    let path = |path: &str| json!({ "path": path });
    assert_eq!(issue(&bench, glob(), Some(&path("shop/registry"))).await.unwrap().values["user"], Secret::from("ci"));
    assert_eq!(code(issue(&bench, glob(), None).await), Code::RequestMalformed);
    for outside in ["other/registry", "shop/../other/registry", "shop/*", "shop/", "/shop/registry", "shop/registry/", ""] {
        assert_eq!(code(issue(&bench, glob(), Some(&path(outside))).await), Code::SecretUnknown, "{outside}");
    }
    assert_eq!(code(issue(&bench, glob(), Some(&path("shop/absent"))).await), Code::SecretUnknown);
    for malformed in [json!("shop/registry"), json!({"path": 1}), json!({"path": "shop/registry", "mount": "other"})] {
        assert_eq!(code(issue(&bench, glob(), Some(&malformed)).await), Code::RequestMalformed);
    }
    // A role with one path does not let the caller choose another.
    let one = params(json!({"path": "shop/registry"}));
    assert_eq!(code(issue(&bench, one, Some(&path("other/registry"))).await), Code::SecretUnknown);
    store.close().await;
}

#[sqlx::test(migrator = "crate::store::MIGRATOR")]
async fn access_and_deletion_are_respected(pool: PgPool) {
    let store = crate::store::tests::open(&pool).await;
    put(&store, "shop/registry", r#"{"user":"ci"}"#).await;
    let bench = bench(store.secrets().clone());
    let write_only = params(json!({"path": "shop/registry", "access": ["write", "list"]}));
    assert_eq!(code(issue(&bench, write_only, None).await), Code::SecretUnknown);
    let elsewhere = params(json!({"path": "shop/registry", "mount": "other"}));
    assert_eq!(code(issue(&bench, elsewhere, None).await), Code::SecretUnknown);
    let mut tx = store.begin().await.unwrap();
    tx.delete_secret("secret", "shop/registry", &[], store.system().now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(code(issue(&bench, params(json!({"path": "shop/registry"})), None).await), Code::SecretDeleted);
    store.close().await;
}

#[tokio::test]
async fn without_a_store_it_is_a_fault_and_no_refusal() {
    let outcome = issue(&bench(Secrets::default()), params(json!({"path": "a"})), None).await;
    assert!(matches!(outcome, Err(EngineError::Fault(_))));
}

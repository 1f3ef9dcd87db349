//! Secrets stay where they belong: none stands in a log, a refusal, the database, the metrics, or what other processes see.

use std::os::unix::process::ExitStatusExt as _;

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use sqlx::AssertSqlSafe;

/// Everything that the broker's database holds, as text; bytes in hexadecimal.
async fn dump(ground: &Ground) -> String {
    let mut records = ground.databases.records().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'daypass'")
        .fetch_all(&mut records)
        .await
        .unwrap();
    assert!(tables.len() >= 14, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("select t::text from daypass.{table} t")))
            .fetch_all(&mut records)
            .await
            .unwrap();
        text.push_str(&rows.join("\n"));
    }
    text
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_where_it_should_not() {
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start_with(&Settings { level: "debug", ..Settings::default() }).await.unwrap();
    let ci = Ci::shared().unwrap();
    let mut secrets: Vec<(&str, String)> = vec![
        ("the root key", ground.root_key.clone()),
        ("the database password", ground.databases.serving_password.clone()),
        ("the target's admin password", ground.databases.admin_password.clone()),
        ("the stored secret", "canary-4f6b1d0f27".to_owned()),
    ];
    ground.store_secret(&replica, "secret/shop/registry", &json!({"password": secrets[3].1})).await.unwrap();
    let operator = ground.operator(&replica).await.unwrap();
    let mut refusals = Vec::new();

    // What jobs do, well and badly.
    let token = ci.github(&deploy_claims()).unwrap();
    let body = json!({"role": "shop-deploy-prod", "credentials": ["database", "registry"], "ttl": "5m"});
    let granted = replica.native.exchange_with(&token, body.clone(), Some("canary-key-7a31")).await.unwrap().granted().unwrap();
    let session = granted.session.token.clone().unwrap();
    assert_eq!(granted.credentials["registry"].values["password"], secrets[3].1);
    refusals.push(replica.native.exchange(&token, body.clone()).await.unwrap());
    let refused = ci.github(&json!({"environment": "production", "event_name": "pull_request"})).unwrap();
    refusals.push(replica.native.exchange(&refused, body.clone()).await.unwrap());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(342));
    refusals.push(replica.native.exchange(&forged, body.clone()).await.unwrap());
    refusals.push(replica.native.exchange(&token, json!({"ttl": 5})).await.unwrap());
    refusals.push(replica.native.exchange(&format!("Bearer {token}"), body).await.unwrap());
    refusals.push(replica.native.get(&format!("/api/v1/leases/{session}"), &session).await.unwrap());
    refusals.push(replica.operator.get("/api/v1/audit", &session).await.unwrap());
    let whoami = replica.native.get("/api/v1/whoami", &session).await.unwrap();
    let trail = replica.operator.get("/api/v1/audit?limit=500", &operator).await.unwrap();
    assert_eq!((whoami.status, trail.status), (200, 200), "{whoami:?} {trail:?}");
    let metrics = replica.metrics.ask("GET", "/metrics", None, None).await.unwrap();
    assert!(metrics.status == 200 && metrics.body.contains("daypass"), "{metrics:?}");
    // Without root's rights the environment cannot be read at all: the broker shuts it, with its memory, even from its own user.
    let process = |file: &str| match std::fs::read(format!("/proc/{}/{file}", replica.id())) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if file == "environ" && error.kind() == std::io::ErrorKind::PermissionDenied => String::new(),
        Err(error) => panic!("{file}: {error}"),
    };
    let seen = [process("cmdline"), process("environ")].concat();
    let released = replica.native.delete("/api/v1/session", &session).await.unwrap();
    assert_eq!(released.status, 200);

    let signature = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    secrets.extend([
        ("the job's session", session),
        ("the operator's session", operator),
        ("the leased password", granted.credentials["database"].values["password"].clone()),
        ("the job's token", signature(&token)),
        ("the refused job's token", signature(&refused)),
        ("the forged token", signed.to_owned()),
        ("the idempotency key", "canary-key-7a31".to_owned()),
    ]);
    let database = dump(&ground).await;
    replica.signal(Signal::TERM).unwrap();
    replica.ended().await.unwrap();
    assert!(refusals.iter().all(|answer| (400..500).contains(&answer.status)), "{refusals:?}");
    assert!(database.contains("exchange.granted") && replica.output().contains("answered"), "there is something to look through");
    let places = [
        ("the log", replica.output()),
        ("a refusal", refusals.iter().map(|answer| answer.body.as_str()).collect::<String>()),
        ("the database", database),
        ("whoami", whoami.body),
        ("the audit trail", trail.body),
        ("the metrics", metrics.body),
        ("what other processes see", seen),
        ("a release", released.body),
    ];
    for (place, text) in &places {
        for (name, secret) in &secrets {
            assert!(secret.len() >= 12, "{name} is too short to look for");
            assert!(!text.contains(secret.as_str()), "{name} stands in {place}");
            assert!(!text.contains(&hex(secret)), "{name} stands in {place}, in hexadecimal");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_serving_role_cannot_rewrite_what_happened_or_change_the_schema() {
    let ground = Ground::new().await.unwrap();
    drop(ground.start().await.unwrap());
    let databases = &ground.databases;
    let (role, password) = (databases.serving_role(), &databases.serving_password);
    let mut serving = databases.login(&role, password, &databases.broker()).await.unwrap();
    for statement in [
        "update daypass.audit_records set code = 'x'",
        "delete from daypass.audit_records",
        "truncate daypass.audit_records",
        "drop table daypass.audit_records",
        "alter table daypass.audit_records disable trigger all",
        "delete from daypass.audit_personal",
        "delete from daypass.policy_sets",
        "update daypass.sessions set role = 'operators'",
        "update daypass.leases set upstream = 'postgres'",
        "delete from daypass.data_keys",
        "create table daypass.mine ()",
        "create table public.mine ()",
        "create schema mine",
        "create role mine",
        "create extension pg_stat_statements",
        "update _sqlx_migrations set success = false",
    ] {
        let error = sqlx::raw_sql(statement).execute(&mut serving).await.unwrap_err();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
    }
    assert!(databases.login(&role, password, &databases.shop()).await.is_err(), "it has no business at a target");
    assert!(databases.count("audit_records").await.unwrap() > 0);
}

/// Whether a process that allows it would leave its memory behind here, when it crashes.
fn cores_are_kept() -> bool {
    let maximum = getrlimit(Resource::Core).maximum;
    let folder = tempfile::tempdir().unwrap();
    setrlimit(Resource::Core, Rlimit { current: maximum, maximum }).unwrap();
    let mut sleeper = std::process::Command::new("sleep").arg("30").current_dir(folder.path()).spawn().unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(sleeper.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::ABORT).unwrap();
    sleeper.wait().unwrap().core_dumped()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_crashes_leaves_no_core() {
    if !cores_are_kept() {
        eprintln!("this system keeps no cores of anybody: nothing to see here");
    }
    let ground = Ground::new().await.unwrap();
    let mut replica = ground.start().await.unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", replica.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    replica.signal(Signal::ABORT).unwrap();
    let status = replica.ended().await.unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false), "{status}");
}

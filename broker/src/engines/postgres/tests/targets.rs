//! Targets and administrators of every kind.

use std::sync::Arc;

use serde_json::json;

use super::server::servers;
use super::*;
use crate::system::{FollowingClock, Look};

fn statements(shop: &Shop) -> Value {
    json!({"rw": {"create": [format!("grant {}_rw to {{{{name}}}}", shop.database)]}})
}

#[tokio::test]
async fn a_superuser_can_be_the_administrator() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let user = format!("{}_super", shop.database);
        run(&mut server.root("postgres").await, &format!("create role {user} superuser login password '{ADMIN_PASSWORD}'")).await;
        shop.connect_as(
            &format!("postgresql://{user}@127.0.0.1:{}/{}", server.port, shop.database),
            &json!({"statements": statements(&shop)}),
        );
        let login = shop.issue().await.unwrap();
        let mut session = shop.log_in(&login).await.unwrap();
        run(&mut session, "create table mine (id int)").await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err());
    }
}

#[tokio::test]
async fn an_administrator_that_does_not_inherit_works_or_is_told_why_not() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let user = format!("{}_admin", shop.database);
        run(
            &mut server.root("postgres").await,
            &format!(
                "create role {user} createrole noinherit login password '{ADMIN_PASSWORD}';
                 grant {}_rw to {user} with admin option",
                shop.database
            ),
        )
        .await;
        shop.connect_as(
            &format!("postgresql://{user}@127.0.0.1:{}/{}", server.port, shop.database),
            &json!({"statements": statements(&shop)}),
        );
        let login = shop.issue().await.unwrap();
        let ended = shop.revoke(&login.plan).await;
        if server.version.split('.').next().unwrap().parse::<u32>().unwrap() >= 16 {
            assert_eq!(ended.unwrap(), Revoked::Gone);
        } else {
            assert!(matches!(&ended, Err(EngineError::TargetRefused(text)) if text.contains("INHERIT")), "{ended:?}");
        }
        assert!(shop.log_in(&login).await.is_err(), "PostgreSQL {}", server.version);
    }
}

#[tokio::test]
async fn a_target_whose_clock_differs_counts_the_same_time() {
    for server in servers() {
        for hours in [-1, 1] {
            let mut shop = Shop::open(server).await;
            let clock = FollowingClock::default();
            let database = FollowingClock::machine() + time::Duration::hours(hours);
            clock.follow(&Look { database, asked: std::time::Instant::now(), round_trip: Duration::ZERO });
            shop.bench.system.clock = Arc::new(clock);

            let login = shop.issue().await.unwrap();
            let mut session = shop.log_in(&login).await.unwrap();
            let left: f64 = sqlx::query_scalar(
                "select extract(epoch from rolvaliduntil - clock_timestamp())::float8 from pg_roles where rolname = current_user",
            )
            .fetch_one(&mut session)
            .await
            .unwrap();
            assert!((600.0..=630.0).contains(&left), "{left}");
            assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        }
    }
}

#[tokio::test]
async fn a_changed_connection_counts_at_once() {
    let server = &servers()[0];
    let shop = Shop::open(server).await;
    let url = format!("postgresql://{ADMIN}@127.0.0.1:{}/{}", server.port, shop.database);
    shop.connect_as(&url.replace(&shop.database, "no_such_database"), &json!({"statements": statements(&shop)}));
    let wrong = shop.issue().await.err().unwrap();
    assert!(matches!(&wrong, EngineError::TargetRefused(text) if text.contains("3D000")), "{wrong}");
    shop.connect_as(&url, &json!({"statements": statements(&shop)}));
    let login = shop.issue().await.unwrap();
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    for server in servers() {
        let Some(certificate) = &server.certificate else {
            println!("skipped: this build of PostgreSQL {} has no TLS", server.version);
            continue;
        };
        let shop = Shop::open(server).await;
        let url = format!("postgresql://{ADMIN}@127.0.0.1:{}/{}?sslmode=verify-full", server.port, shop.database);
        shop.connect_as(&url, &json!({"statements": statements(&shop)}));
        let unknown = shop.issue().await.err().unwrap();
        assert!(matches!(&unknown, EngineError::TargetUnavailable(text) if text.contains("certificate")), "{unknown}");

        shop.connect_as(&url, &json!({"statements": statements(&shop), "ca_file": certificate}));
        let login = shop.issue().await.unwrap();
        assert!(login.value("url").ends_with("?sslmode=verify-full"));
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
    }
}

#[tokio::test]
async fn a_target_elsewhere_is_verified() {
    for (host, expected) in [
        ("db.example.com", "verify-full"),
        ("10.0.0.5", "verify-full"),
        ("127.0.0.1.example.com", "verify-full"),
        ("localhost", "prefer"),
        ("127.0.0.1", "prefer"),
        ("[::1]", "prefer"),
        ("127.0.0.1/shop?sslmode=require", "require"),
    ] {
        let connection = Connection {
            name: "shop".to_owned(),
            engine: "postgres".to_owned(),
            version: 1,
            url: format!("postgresql://admin@{host}"),
            password: None,
            settings: serde_json::Map::new(),
            allowed_roles: Vec::new(),
            concurrency: 0,
            max_leases: 5_000,
        };
        let settings = super::super::settings::Settings::of(&connection).unwrap();
        let admin = super::super::admin::Admin::new(&connection, &settings).unwrap();
        let url = admin.url("user", &Secret::from("p"), "odd /%\"name").unwrap();
        assert!(url.expose().ends_with(&format!("/odd%20%2F%25%22name?sslmode={expected}")), "{host}: {}", url.expose());
    }
}

//! Logins that no lease accounts for, as the target shows them.

use super::server::servers;
use super::*;
use crate::engines::engine::Found;
use crate::engines::login::{lease_of, name as role_name};

impl Shop {
    async fn list(&self) -> Vec<Found> {
        self.engine.list(&self.bench, "shop").await.unwrap().unwrap()
    }

    async fn find(&self, name: &str) -> Option<Found> {
        self.list().await.into_iter().find(|found| found.name == name)
    }
}

#[test]
fn a_name_tells_the_lease_that_it_was_made_for_and_nothing_else_does() {
    let id = Uuid::now_v7();
    let name = role_name("abcdef", id).unwrap();
    assert_eq!(lease_of("abcdef", &name), Some(id));
    assert_eq!(lease_of("abcdeg", &name), None, "another installation's");
    for bad in ["dp_abcdef_", "dp_abcdef_x", "dp_abcdef_1", "dp_abcdef", "abcdef", &format!("{name}a"), &name.to_uppercase()] {
        assert_eq!(lease_of("abcdef", bad), None, "{bad}");
    }
    // 26 digits hold two bits more than an id.
    assert_eq!(lease_of("abcdef", &format!("dp_abcdef_{}", "7".repeat(26))), None);
}

#[tokio::test]
async fn lists_the_logins_of_its_installation_alone() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let name = login.value("username").to_owned();
        let own = format!("dp_abcdef_by_hand_{}", shop.database);
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("create role dp_abcdeg_{} login; create role dpxabcdef_{} login", shop.database, shop.database))
            .await;
        // From version 16 on an administrator drops what it made itself, and nothing else.
        let mut admin = server.connect(ADMIN, ADMIN_PASSWORD, &shop.database).await.unwrap();
        run(&mut admin, &format!("create role \"{own}\" nologin")).await;
        let found = shop.find(&name).await.unwrap();
        assert_eq!(found.lease.map(|id| role_name("abcdef", id).unwrap()), Some(name));
        let ends = found.ends_at.unwrap() - login.issued.native_expiry.unwrap();
        assert!(found.open && found.keeps_end && ends.abs() < Duration::from_secs(1), "{ends}");
        let by_hand = shop.find(&own).await.unwrap();
        assert_eq!((by_hand.lease, by_hand.open, by_hand.ends_at), (None, false, None));
        assert!(shop.list().await.iter().all(|found| found.name.starts_with("dp_abcdef_")), "PostgreSQL {}", server.version);
        assert_eq!(shop.engine.revoke(&shop.bench, &by_hand.handle).await.unwrap(), Revoked::Gone);
        shop.revoke(&login.plan).await.unwrap();
    }
}

#[tokio::test]
async fn a_stray_is_shut_without_being_destroyed_and_then_dropped() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let other = shop.issue().await.unwrap();
        let mut session = shop.log_in(&login).await.unwrap();
        let mut others = shop.log_in(&other).await.unwrap();
        // It holds its own row locked, so that nobody else may change it.
        run(&mut session, "begin; alter role current_user password 'mine'").await;
        let found = shop.find(login.value("username")).await.unwrap();

        assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap());
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "its open session is ended");
        assert!(shop.log_in(&login).await.is_err());
        sqlx::query("select 1").execute(&mut others).await.unwrap();
        let shut = shop.find(login.value("username")).await.unwrap();
        assert!(!shut.open);
        // An administrator who knows better opens it again: the password is still its own.
        run(&mut server.root("postgres").await, &format!("alter role {} login", shut.name)).await;
        assert!(shop.log_in(&login).await.is_ok(), "PostgreSQL {}", server.version);

        assert_eq!(shop.engine.revoke(&shop.bench, &shut.handle).await.unwrap(), Revoked::Gone);
        assert!(!shop.role_exists(&login.plan).await);
        assert!(!shop.engine.shut(&shop.bench, &shut.handle).await.unwrap(), "gone already");
        shop.revoke(&other.plan).await.unwrap();
    }
}

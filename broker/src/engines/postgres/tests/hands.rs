//! Logins that another hand made: from PostgreSQL 16 on an administrator that is no superuser needs to be given them.

use super::server::servers;
use super::*;

/// The statement that an error asks a superuser for.
fn remedy(error: &EngineError) -> String {
    let text = error.to_string();
    let (_, rest) = text.split_once('`').unwrap_or_else(|| panic!("no remedy: {text}"));
    rest.split_once('`').unwrap().0.to_owned()
}

fn guards(server: &Server) -> bool {
    server.version.split('.').next().unwrap().parse::<u32>().unwrap() >= 16
}

#[tokio::test]
async fn a_stray_that_a_superuser_made_is_shut_or_the_remedy_is_told() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let name = format!("dp_abcdef_{}", shop.database);
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("create role {name} login password 'p'")).await;
        let mut session = server.connect(&name, "p", &shop.database).await.unwrap();
        let stray = shop.engine.list(&shop.bench, "shop").await.unwrap().unwrap().into_iter().find(|found| found.name == name);
        let stray = stray.unwrap();
        let shut = shop.engine.shut(&shop.bench, &stray.handle).await;
        if guards(server) {
            let error = shut.unwrap_err();
            assert!(matches!(&error, EngineError::TargetRefused(_)), "PostgreSQL {}: {error}", server.version);
            assert_eq!(remedy(&error), format!("grant {name} to {ADMIN} with admin option"));
            run(&mut root, &remedy(&error)).await;
            assert!(shop.engine.shut(&shop.bench, &stray.handle).await.unwrap());
        } else {
            assert!(shut.unwrap(), "PostgreSQL {}", server.version);
        }
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "its open session is ended");
        assert!(server.connect(&name, "p", &shop.database).await.is_err());
        assert_eq!(shop.engine.revoke(&shop.bench, &stray.handle).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
    }
}

/// No grant helps there, so none is named.
#[tokio::test]
async fn a_stray_that_is_a_superuser_is_left_to_superusers() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let name = format!("dp_abcdef_{}_super", shop.database);
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("create role {name} superuser login; grant {name} to {ADMIN} with admin option")).await;
        let found = shop.engine.list(&shop.bench, "shop").await.unwrap().unwrap().into_iter().find(|found| found.name == name);
        let error = shop.engine.shut(&shop.bench, &found.unwrap().handle).await.unwrap_err().to_string();
        assert!(error.contains("42501") && !error.contains("grant "), "PostgreSQL {}: {error}", server.version);
        run(&mut root, &format!("drop role {name}")).await;
    }
}

#[tokio::test]
async fn an_administrator_that_follows_another_takes_back_what_that_one_made() {
    for server in servers() {
        for all_at_once in [false, true] {
            let shop = Shop::open(server).await;
            let login = shop.issue().await.unwrap();
            let mut session = shop.log_in(&login).await.unwrap();
            let second = format!("{}_second", shop.database);
            let mut root = server.root("postgres").await;
            run(&mut root, &format!("create role {second} createrole login password '{ADMIN_PASSWORD}'")).await;
            let statements = json!({"rw": {"create": [format!("grant {}_rw to {{{{name}}}}", shop.database)]}});
            let url = format!("postgresql://{second}@127.0.0.1:{}/{}", server.port, shop.database);
            shop.connect_as(&url, &json!({"statements": statements}));
            if guards(server) {
                let error = shop.revoke(&login.plan).await.unwrap_err();
                let single = remedy(&error);
                assert_eq!(single, format!("grant {} to {second} with admin option", login.value("username")));
                sqlx::query("select 1").execute(&mut session).await.unwrap();
                run(&mut root, &if all_at_once { format!("grant {ADMIN} to {second}") } else { single }).await;
            }
            assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
            assert!(sqlx::query("select 1").execute(&mut session).await.is_err());
            assert!(!shop.role_exists(&login.plan).await);
            run(&mut root, &format!("drop role {second}")).await;
        }
    }
}

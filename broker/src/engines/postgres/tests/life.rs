//! From the first login to the last.

use serde_json::json;

use super::server::servers;
use super::*;

#[tokio::test]
async fn a_leased_login_works_and_ends() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();

        let mut session = shop.log_in(&login).await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&mut session).await.unwrap();
        assert_eq!(count, 1);
        let values = clear(&login.issued);
        let (user, password) = (values["username"], values["password"]);
        assert_eq!(values["host"], "127.0.0.1");
        assert_eq!(values["port"], server.port.to_string());
        assert_eq!(values["database"], shop.database);
        assert_eq!(values["sslmode"], "prefer");
        assert_eq!(
            values["url"],
            format!("postgresql://{user}:{password}@127.0.0.1:{}/{}?sslmode=prefer", server.port, shop.database)
        );
        assert!(!format!("{:?}", login.issued).contains(password));

        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "the open session must be ended");
        assert!(shop.log_in(&login).await.is_err());
        assert!(!shop.role_exists(&login.plan).await);
    }
}

#[tokio::test]
async fn a_login_lasts_longer_when_told_and_never_shorter() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let ends = async || -> time::OffsetDateTime {
            let mut root = server.root("postgres").await;
            let ends = sqlx::query_scalar("select rolvaliduntil from pg_roles where rolname = $1");
            ends.bind(login.value("username")).fetch_one(&mut root).await.unwrap()
        };
        let renew = async |until| Postgres::default().renew(&shop.bench, &login.plan.handle, until).await;
        let until = shop.bench.system.now() + time::Duration::minutes(30);
        renew(until).await.unwrap();
        let moved = ends().await;
        assert!(
            (moved - until - super::super::EXPIRY_MARGIN).abs() < time::Duration::seconds(1),
            "PostgreSQL {}",
            server.version
        );
        renew(until - time::Duration::minutes(20)).await.unwrap();
        assert_eq!(ends().await, moved, "of two renewals the later end holds");
        assert!(shop.log_in(&login).await.is_ok());

        // One that is shut stays shut, one that is gone stays gone.
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("alter role {} nologin", login.value("username"))).await;
        assert!(matches!(renew(until + time::Duration::hours(1)).await, Err(EngineError::TargetRefused(_))));
        assert_eq!(ends().await, moved);
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        assert!(matches!(renew(until + time::Duration::hours(1)).await, Err(EngineError::TargetRefused(_))));
        assert!(!shop.role_exists(&login.plan).await);
    }
}

#[tokio::test]
async fn the_role_says_whose_it_is_and_is_bounded() {
    for server in servers() {
        let shop = Shop::open(server).await;
        shop.configure(&json!({"connection_limit": 2}));
        let login = shop.issue().await.unwrap();

        let mut root = server.root("postgres").await;
        let (comment, ends, superuser, creates): (String, time::OffsetDateTime, bool, bool) = sqlx::query_as(
            "select shobj_description(oid, 'pg_authid'), rolvaliduntil, rolsuper, rolcreaterole or rolcreatedb
             from pg_roles where rolname = $1",
        )
        .bind(login.value("username"))
        .fetch_one(&mut root)
        .await
        .unwrap();
        assert!(comment.starts_with("daypass abcdef: lease "), "{comment}");
        assert!(comment.contains("role shop-deploy"), "{comment}");
        let (left, native) = (ends - shop.bench.system.now(), login.issued.native_expiry.unwrap());
        assert!(left > time::Duration::seconds(600) && left <= time::Duration::seconds(630), "{left}");
        assert!((native - ends).abs() < time::Duration::seconds(1));
        assert!(!superuser && !creates);

        let _first = shop.log_in(&login).await.unwrap();
        let _second = shop.log_in(&login).await.unwrap();
        let third = shop.log_in(&login).await.unwrap_err().to_string();
        assert!(third.contains("too many connections for role"), "{third}");
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    }
}

#[tokio::test]
async fn what_it_made_in_two_databases_goes_with_it() {
    for server in servers() {
        let shop = Shop::open(server).await;
        // A database whose name needs every kind of quoting.
        let other = format!("{} \"second\"; drop role x --", shop.database);
        let quoted = format!("\"{}\"", other.replace('"', "\"\""));
        run(&mut server.root("postgres").await, &format!("create database {quoted}")).await;
        run(&mut server.root(&other).await, &format!("grant create, usage on schema public to {}_rw", shop.database)).await;

        let login = shop.issue().await.unwrap();
        for database in [&shop.database, &other] {
            let mut session = server.connect(login.value("username"), login.value("password"), database).await.unwrap();
            run(
                &mut session,
                "create table mine (id int); create function f() returns int language sql as 'select 1';
                 alter default privileges in schema public grant select on tables to public;",
            )
            .await;
        }
        run(
            &mut server.root(&other).await,
            &format!("alter default privileges in schema public grant select on tables to {}", login.value("username")),
        )
        .await;

        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert!(!shop.role_exists(&login.plan).await);
        for database in [&shop.database, &other] {
            let mut root = server.root(database).await;
            let left: bool = sqlx::query_scalar("select to_regclass('mine') is not null").fetch_one(&mut root).await.unwrap();
            assert!(!left, "{database}");
        }
    }
}

#[tokio::test]
async fn leaves_its_objects_to_the_heir_that_the_connection_names() {
    for server in servers() {
        let shop = Shop::open(server).await;
        run(
            &mut server.root(&shop.database).await,
            &format!(
                "create role {0}_heir; grant {0}_heir to {ADMIN} with admin option; grant create on schema public to {0}_heir",
                shop.database
            ),
        )
        .await;
        shop.configure(&json!({"reassign_to": format!("{}_heir", shop.database)}));
        let login = shop.issue().await.unwrap();
        run(&mut shop.log_in(&login).await.unwrap(), "create table kept (id int)").await;

        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        let mut root = server.root(&shop.database).await;
        let owner: String = sqlx::query_scalar("select relowner::regrole::text from pg_class where relname = 'kept'")
            .fetch_one(&mut root)
            .await
            .unwrap();
        assert_eq!(owner, format!("{}_heir", shop.database));
    }
}

#[tokio::test]
async fn rights_in_several_databases_come_and_go() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let other = format!("{}_reports", shop.database);
        run(&mut server.root("postgres").await, &format!("create database {other}")).await;
        for database in [&shop.database, &other] {
            run(
                &mut server.root(database).await,
                &format!("create table facts (id int); grant select on facts to {ADMIN} with grant option"),
            )
            .await;
        }
        shop.configure(&json!({"statements": {"rw": {
            "create": ["grant select on facts to {{name}} -- read only"],
            "revoke": ["revoke select on facts from {{name}}"],
            "databases": [shop.database, other],
        }}}));
        let login = shop.issue().await.unwrap();
        for database in [&shop.database, &other] {
            let mut session = server.connect(login.value("username"), login.value("password"), database).await.unwrap();
            run(&mut session, "select * from facts").await;
        }
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
    }
}

#[tokio::test]
async fn already_gone_is_success() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        // The name is held until the deadline is over, then let go; both ways nobody is in.
        assert!(matches!(shop.revoke(&login.plan).await.unwrap(), Revoked::Held(_)));

        let mut ask = shop.ask();
        ask.create_deadline = shop.bench.system.now() - Duration::from_mins(1);
        let never_made = shop.engine.plan(&shop.bench, &ask).await.unwrap();
        assert_eq!(shop.revoke(&never_made).await.unwrap(), Revoked::Gone);
        assert!(!shop.role_exists(&never_made).await);
        assert_eq!(shop.revoke(&never_made).await.unwrap(), Revoked::Gone);
    }
}

#[tokio::test]
async fn is_fenced_while_something_of_others_depends_on_it() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        run(&mut shop.log_in(&login).await.unwrap(), "create table mine (id int)").await;
        run(&mut server.root(&shop.database).await, "create view theirs as select * from mine").await;

        let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
        assert!(reason.contains(&format!("in database \"{}\"", shop.database)), "{reason}");
        assert!(shop.log_in(&login).await.is_err(), "the login is dead all the same");

        run(&mut server.root(&shop.database).await, "drop view theirs").await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    }
}

#[tokio::test]
async fn two_workers_at_once_do_no_harm() {
    for server in servers() {
        let shop = Shop::open(server).await;
        for _ in 0..5 {
            let login = shop.issue().await.unwrap();
            let (one, other) = tokio::join!(shop.revoke(&login.plan), shop.revoke(&login.plan));
            assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
            assert!(shop.log_in(&login).await.is_err());
            // What is left at most holds the name.
            let mut root = server.root("postgres").await;
            let alive: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1 and rolcanlogin)")
                .bind(login.plan.upstream.as_deref())
                .fetch_one(&mut root)
                .await
                .unwrap();
            assert!(!alive);
        }
    }
}

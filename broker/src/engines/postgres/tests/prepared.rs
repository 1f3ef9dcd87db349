//! Prepared transactions, which outlive the sessions that made them.

use super::server::servers;
use super::*;

/// A name for a transaction that needs every kind of quoting, as a literal, and another for each test: they are the whole server's.
fn gid(shop: &Shop, more: &str) -> String {
    format!("E'{} \\\\ \'\'; rollback; drop role x; -- \\n {more}'", shop.database)
}

async fn left(server: &super::server::Server, login: &Login) -> i64 {
    let left = sqlx::query_scalar("select count(*) from pg_prepared_xacts where owner = $1").bind(login.value("username"));
    left.fetch_one(&mut server.root("postgres").await).await.unwrap()
}

/// Whoever owns them.
async fn of_shop(server: &super::server::Server, shop: &Shop) -> i64 {
    let left = sqlx::query_scalar("select count(*) from pg_prepared_xacts where gid like $1");
    left.bind(format!("{} %", shop.database)).fetch_one(&mut server.root("postgres").await).await.unwrap()
}

#[tokio::test]
async fn what_the_login_has_prepared_is_rolled_back_in_every_database() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let other = format!("{} \"it's\\\"", shop.database);
        let quoted = format!("\"{}\"", other.replace('"', "\"\""));
        run(&mut server.root("postgres").await, &format!("create database {quoted}")).await;
        run(&mut server.root(&other).await, &format!("grant create, usage on schema public to {}_rw", shop.database)).await;
        let login = shop.issue().await.unwrap();
        for (database, more) in [(&shop.database, "one"), (&other, "two")] {
            let mut session = server.connect(login.value("username"), login.value("password"), database).await.unwrap();
            // An object of the role that nobody sees before the transaction is committed.
            run(&mut session, &format!("begin; create table later (id int); prepare transaction {}", gid(&shop, more))).await;
        }
        let mut session = shop.log_in(&login).await.unwrap();
        run(&mut session, &format!("begin; insert into orders values (7); prepare transaction {}", gid(&shop, "three"))).await;
        assert_eq!(left(server, &login).await, 3);

        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert_eq!(left(server, &login).await, 0);
        assert!(!shop.role_exists(&login.plan).await);
        // Nothing of it holds a lock any more, and nothing of it came about.
        let mut root = server.root(&shop.database).await;
        run(&mut root, "set lock_timeout = '1s'; alter table orders add column note text").await;
        let rows: i64 = sqlx::query_scalar("select count(*) from orders where id = 7").fetch_one(&mut root).await.unwrap();
        assert_eq!(rows, 0);
        assert_eq!(of_shop(server, &shop).await, 0);
    }
}

#[tokio::test]
async fn a_login_that_locks_itself_by_a_prepared_transaction_is_taken_back_and_shut() {
    for server in servers() {
        // The second belongs to the group whose rights the login has, and not to the login.
        for (only_shut, as_group) in [(false, false), (true, false), (false, true), (true, true)] {
            let shop = Shop::open(server).await;
            let login = shop.issue().await.unwrap();
            let mut session = shop.log_in(&login).await.unwrap();
            let group = if as_group { format!("set role {}_rw; ", shop.database) } else { String::new() };
            let gid = gid(&shop, "");
            run(&mut session, &format!("begin; alter role current_user password 'mine'; {group}prepare transaction {gid}")).await;
            let told = format!("PostgreSQL {}, as group: {as_group}", server.version);
            assert_eq!(left(server, &login).await, i64::from(!as_group), "{told}");
            if only_shut {
                let list = shop.engine.list(&shop.bench, "shop").await.unwrap().unwrap();
                let found = list.into_iter().find(|found| found.name == login.value("username")).unwrap();
                assert!(shop.engine.shut(&shop.bench, &found.handle).await.unwrap());
            } else {
                let began = std::time::Instant::now();
                assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "{told}");
                assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            }
            assert_eq!(of_shop(server, &shop).await, 0, "{told}");
            assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "its session is over");
            for password in [login.value("password"), "mine"] {
                let back = server.connect(login.value("username"), password, &shop.database).await;
                assert!(back.is_err(), "{told}");
            }
            if only_shut {
                assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_prepared_in_another_name_and_holds_the_role_does_not_keep_it() {
    for server in servers() {
        for holds in ["alter role current_user set work_mem = '1MB'", "create table later (id int)"] {
            let shop = Shop::open(server).await;
            let login = shop.issue().await.unwrap();
            let mut session = shop.log_in(&login).await.unwrap();
            let script = format!("begin; {holds}; set role {}_rw; prepare transaction {}", shop.database, gid(&shop, ""));
            run(&mut session, &script).await;
            // What the group's other members have prepared is theirs.
            let others = format!("begin; insert into orders values (8); prepare transaction '{} of others'", shop.database);
            run(&mut session, &format!("set role {}_rw; {others}", shop.database)).await;
            assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}: {holds}", server.version);
            assert!(!shop.role_exists(&login.plan).await);
            assert_eq!(of_shop(server, &shop).await, 1, "PostgreSQL {}: {holds}", server.version);
            run(&mut server.root(&shop.database).await, &format!("rollback prepared '{} of others'", shop.database)).await;
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_rolled_back_is_named_and_the_login_is_dead_all_the_same() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let closed = format!("{}_closed", shop.database);
        run(&mut server.root("postgres").await, &format!("create database {closed}")).await;
        let mut session = server.connect(login.value("username"), login.value("password"), &closed).await.unwrap();
        run(&mut session, &format!("begin; select 1; prepare transaction '{closed} of a job'")).await;
        drop(session);
        run(&mut server.root("postgres").await, &format!("alter database {closed} allow_connections false")).await;

        let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
        assert!(reason.contains(&format!("\"{closed} of a job\"")) && reason.contains("rollback prepared"), "{reason}");
        assert!(shop.log_in(&login).await.is_err(), "PostgreSQL {}", server.version);
        run(&mut server.root("postgres").await, &format!("alter database {closed} allow_connections true")).await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        assert_eq!(left(server, &login).await, 0);
    }
}

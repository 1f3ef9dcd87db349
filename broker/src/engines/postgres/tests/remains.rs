//! What a login leaves behind, of every kind, and what of it stands in the way of its end.

use super::server::{Server, servers};
use super::*;

impl Server {
    fn major(&self) -> u32 {
        self.version.split('.').next().unwrap().parse().unwrap()
    }
}

/// What a login with many rights makes: an object of every kind that may be made without being a superuser.
const MADE: &str = "
    create schema own; create table own.facts (id int primary key, label text); create sequence own.counter;
    create view own.seen as select * from own.facts; create materialized view own.kept as select 1 as one;
    create type own.pair as (a int, b int); create domain own.small as int check (value < 10); create type own.mood as enum ('good');
    create function own.f() returns int security definer language sql as 'select 1';
    create procedure own.p() language sql as 'select 1'; create aggregate own.total(int) (sfunc = int4pl, stype = int);
    create statistics own.together on id, label from own.facts; create collation own.plain (locale = 'C');
    create text search dictionary own.words (template = simple); create operator own.@+ (leftarg = int, rightarg = int, function = int4pl);
    create policy mine on own.facts to current_user; alter table own.facts enable row level security;
    create publication told for table own.facts;
    create server elsewhere foreign data wrapper nowhere; create user mapping for current_user server elsewhere;
    create foreign table own.there (id int) server elsewhere; select lo_from_bytea(0, 'large');
    alter default privileges grant select on tables to public; alter default privileges in schema own grant usage on types to public;
    grant select on own.facts to public; alter role current_user set work_mem = '1MB';";

/// What others do for or with the role LOGIN: rights, default privileges, rows of its own in their tables' policies.
const GIVEN: &str = "
    alter default privileges for role root_of_tests grant select on tables to LOGIN;
    alter default privileges for role LOGIN grant insert on tables to PUBLIC_GROUP;
    alter default privileges for role LOGIN in schema public revoke execute on functions from public;
    create table guarded (id int); alter table guarded enable row level security;
    create policy for_it on guarded to LOGIN using (true); grant select (id) on guarded to LOGIN with grant option;
    grant usage on language plpgsql to LOGIN; create type handed as (a int); grant usage on type handed to LOGIN;
    grant select on large object LARGE to LOGIN;";

/// Two databases in which the group of the logins may make things. The name of the second needs every kind of quoting.
async fn two_databases(shop: &Shop, server: &Server) -> [String; 2] {
    let other = format!("{} \"other\"\\", shop.database);
    run(&mut server.root("postgres").await, &format!("create database {}", quoted(&other))).await;
    let databases = [shop.database.clone(), other];
    for database in &databases {
        let script = format!(
            "create foreign data wrapper nowhere; grant usage on foreign data wrapper nowhere to {1};
             grant create on database {0} to {1}",
            quoted(database),
            format_args!("{}_rw", shop.database)
        );
        run(&mut server.root(database).await, &script).await;
    }
    databases
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn session(server: &Server, login: &Login, database: &str) -> PgConnection {
    server.connect(login.value("username"), login.value("password"), database).await.unwrap()
}

/// What superusers give to the login beside its set.
async fn give(shop: &Shop, server: &Server, login: &Login, databases: &[String]) {
    let (user, group) = (login.value("username"), format!("{}_rw", shop.database));
    for database in databases {
        let mut root = server.root(database).await;
        let large: i64 = sqlx::query_scalar("select lo_create(0)::int8").fetch_one(&mut root).await.unwrap();
        let given = GIVEN.replace("PUBLIC_GROUP", &group).replace("LOGIN", user).replace("LARGE", &large.to_string());
        run(&mut root, &given).await;
        // And the login hands some of it on.
        run(&mut session(server, login, database).await, &format!("grant select (id) on guarded to {group}")).await;
    }
    let mut root = server.root("postgres").await;
    run(&mut root, &format!("grant connect on database {} to {user}", shop.database)).await;
    if server.major() >= 15 {
        run(&mut root, &format!("grant set on parameter log_statement to {user}")).await;
    }
}

/// What is left of the schema that logins make here, of large objects, default privileges and foreign servers.
async fn left(server: &Server, database: &str) -> (bool, i64, i64, i64) {
    sqlx::query_as(
        "select to_regnamespace('own') is not null, (select count(*) from pg_largeobject_metadata),
             (select count(*) from pg_default_acl), (select count(*) from pg_foreign_server)",
    )
    .fetch_one(&mut server.root(database).await)
    .await
    .unwrap()
}

#[tokio::test]
async fn objects_of_every_kind_and_default_privileges_go_in_every_database() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let databases = two_databases(&shop, server).await;
        let login = shop.issue().await.unwrap();
        for database in &databases {
            let mut session = session(server, &login, database).await;
            run(&mut session, MADE).await;
            run(&mut session, "create temp table passing (id int)").await;
        }
        let (mut root, user) = (server.root("postgres").await, login.value("username"));
        run(&mut root, &format!("alter role {user} in database {} set search_path = own", shop.database)).await;
        run(&mut root, &format!("create role {0}_friend; grant {user} to {0}_friend", shop.database)).await;

        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert!(!shop.role_exists(&login.plan).await);
        for database in &databases {
            assert_eq!(left(server, database).await, (false, 0, 0, 0), "{database:?} on PostgreSQL {}", server.version);
        }
    }
}

/// An administrator that is no superuser cannot take away what others gave, and says so; a superuser can.
#[tokio::test]
async fn rights_that_others_gave_go_with_a_superuser_and_are_named_without() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let databases = two_databases(&shop, server).await;
        let login = shop.issue().await.unwrap();
        give(&shop, server, &login, &databases).await;
        let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
        assert!(reason.contains(&format!("database {}", shop.database)) && reason.contains("drop owned by"), "{reason}");
        assert!(shop.log_in(&login).await.is_err(), "the login is dead all the same");

        let user = format!("{}_super", shop.database);
        run(&mut server.root("postgres").await, &format!("create role {user} superuser login password '{ADMIN_PASSWORD}'")).await;
        let statements = json!({"rw": {"create": [format!("grant {}_rw to {{{{name}}}}", shop.database)]}});
        let url = format!("postgresql://{user}@127.0.0.1:{}/{}", server.port, shop.database);
        shop.connect_as(&url, &json!({"statements": statements}));
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        for database in &databases {
            // The large object was not the login's own.
            assert_eq!(left(server, database).await, (false, 1, 0, 0), "{database:?} on PostgreSQL {}", server.version);
        }
    }
}

#[tokio::test]
async fn an_heir_receives_what_is_left_in_every_database_and_no_rights() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let databases = two_databases(&shop, server).await;
        let heir = format!("{} \"heir\"", shop.database);
        let mut root = server.root("postgres").await;
        run(&mut root, &format!("create role {0}; grant {0} to {ADMIN} with admin option", quoted(&heir))).await;
        for database in &databases {
            run(&mut root, &format!("grant create on database {} to {}", quoted(database), quoted(&heir))).await;
        }
        shop.configure(&json!({"reassign_to": heir}));
        let login = shop.issue().await.unwrap();
        for database in &databases {
            let mut session = session(server, &login, database).await;
            run(
                &mut session,
                "create schema own; create table own.facts (id int); insert into own.facts values (1);
                 alter default privileges grant select on tables to public",
            )
            .await;
        }
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        for database in &databases {
            let kept: (i64, i64, i64) = sqlx::query_as(
                "select (select count(*) from own.facts),
                     (select count(*) from pg_class where relname = 'facts' and pg_get_userbyid(relowner) = $1),
                     (select count(*) from pg_default_acl)",
            )
            .bind(&heir)
            .fetch_one(&mut server.root(database).await)
            .await
            .unwrap();
            assert_eq!(kept, (1, 1, 0), "{database:?} on PostgreSQL {}", server.version);
        }
    }
}

#[tokio::test]
async fn what_belongs_to_the_whole_server_fences_the_lease_and_is_named() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let (user, owned) = (login.value("username").to_owned(), format!("{}_owned", shop.database));
        run(&mut server.root("postgres").await, &format!("create database {owned}")).await;
        run(&mut server.root("postgres").await, &format!("alter database {owned} owner to {user}")).await;
        let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
        assert!(reason.contains(&format!("owner of database {owned}")), "{reason}");
        assert!(shop.log_in(&login).await.is_err(), "the login is dead all the same");
        run(&mut server.root("postgres").await, &format!("alter database {owned} owner to root_of_tests")).await;

        // From version 16 on such a role can own a subscription.
        if server.major() >= 16 {
            let mut root = server.root(&shop.database).await;
            run(
                &mut root,
                &format!(
                    "grant create on database {0} to {0}_rw;
                     grant pg_create_subscription to {user};
                     create subscription {0}_sub connection 'host=127.0.0.1 user=x password=y' publication p
                         with (connect = false, slot_name = none);
                     alter subscription {0}_sub owner to {user}",
                    shop.database
                ),
            )
            .await;
            let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
            assert!(reason.contains(&format!("owner of subscription {}_sub", shop.database)), "{reason}");
            run(&mut root, &format!("drop subscription {}_sub", shop.database)).await;
        }
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
    }
}

#[tokio::test]
async fn a_database_that_lets_nobody_in_fences_the_lease_and_is_named() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let closed = format!("{}_closed", shop.database);
        run(&mut server.root("postgres").await, &format!("create database {closed}")).await;
        run(&mut server.root(&closed).await, &format!("grant create on schema public to {}_rw", shop.database)).await;
        run(&mut session(server, &login, &closed).await, "create table mine (id int)").await;
        run(&mut server.root("postgres").await, &format!("alter database {closed} allow_connections false")).await;
        let Revoked::Fenced(reason) = shop.revoke(&login.plan).await.unwrap() else { panic!("must not be gone") };
        assert!(reason.contains(&format!("in database \"{closed}\"")), "{reason}");
        assert!(shop.log_in(&login).await.is_err());
        run(&mut server.root("postgres").await, &format!("alter database {closed} allow_connections true")).await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
    }
}

//! What must not be possible.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::server::servers;
use super::*;

#[tokio::test]
async fn a_late_create_finds_the_name_taken() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let ask = shop.ask();
        let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
        // The sweep comes before the create.
        assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
        let late = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
        assert!(matches!(&late, EngineError::TargetRefused(text) if text.contains("already exists")), "{late}");
        let mut root = server.root("postgres").await;
        let can_log_in: bool = sqlx::query_scalar("select rolcanlogin from pg_roles where rolname = $1")
            .bind(plan.upstream.as_deref())
            .fetch_one(&mut root)
            .await
            .unwrap();
        assert!(!can_log_in);
        // A second sweep still holds the name.
        assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
        assert!(shop.role_exists(&plan).await);
    }
}

#[tokio::test]
async fn nothing_is_made_after_the_deadline() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let mut ask = shop.ask();
        ask.create_deadline = shop.bench.system.now();
        let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
        let late = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
        assert!(matches!(late, EngineError::TargetUnavailable(_)), "{late}");
        assert!(!shop.role_exists(&plan).await);
    }
}

#[tokio::test]
async fn the_target_itself_refuses_after_the_deadline() {
    for server in servers() {
        let shop = Shop::open(server).await;
        // The statements outlast the deadline, so that the check at the end of the transaction is the one that holds.
        shop.configure(&json!({"statements": {"rw": {"create": ["select pg_sleep(1.5)"]}}}));
        let mut ask = shop.ask();
        ask.create_deadline = shop.bench.system.now() + Duration::from_secs(1);
        let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
        let late = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
        assert!(matches!(late, EngineError::TargetUnavailable(_)), "{late}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!shop.role_exists(&plan).await, "a create that nobody waits for must not land");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_a_reconnect_loop_get_nothing_after_the_end() {
    for server in servers() {
        let shop = Shop::open(server).await;
        // Few rounds, so that the clients come back as fast as they can.
        shop.configure(&json!({"connection_limit": 20, "scram_iterations": 16}));
        let login = shop.issue().await.unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let before = Arc::new(AtomicU32::new(0));
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let (over, before, database) = (over.clone(), before.clone(), shop.database.clone());
                let (user, password) = (login.value("username").to_owned(), login.value("password").to_owned());
                tokio::spawn(async move {
                    let (mut after, mut tries) = (0, 5);
                    while tries > 0 {
                        tries -= i32::from(over.load(Ordering::SeqCst));
                        if let Ok(mut session) = server.connect(&user, &password, &database).await {
                            while sqlx::query("select 1 from orders").execute(&mut session).await.is_ok() {
                                if over.load(Ordering::SeqCst) {
                                    after += 1;
                                } else {
                                    before.fetch_add(1, Ordering::SeqCst);
                                }
                                tokio::time::sleep(Duration::from_millis(1)).await;
                            }
                        }
                    }
                    after
                })
            })
            .collect();
        while before.load(Ordering::SeqCst) < 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        over.store(true, Ordering::SeqCst);
        for client in clients {
            assert_eq!(client.await.unwrap(), 0, "PostgreSQL {}", server.version);
        }
    }
}

#[tokio::test]
async fn no_clear_password_reaches_the_server_log() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        shop.log_in(&login).await.unwrap();
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        let log = server.log();
        assert!(log.contains(login.value("username")), "the log must hold our statements for this test to mean anything");
        assert!(!log.contains(login.value("password")));
    }
}

#[tokio::test]
async fn the_login_cannot_lengthen_its_own_life() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let mut session = shop.log_in(&login).await.unwrap();
        for attempt in ["valid until 'infinity'", "createrole", "superuser", "connection limit -1"] {
            let statement = sqlx::AssertSqlSafe(format!("alter role {} {attempt}", login.value("username")));
            assert!(sqlx::raw_sql(statement).execute(&mut session).await.is_err(), "{attempt}");
        }
        // It may change its password; that does not help it.
        let user = login.value("username").to_owned();
        run(&mut session, &format!("alter role {user} password 'mine'")).await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
        assert!(server.connect(&user, "mine", &shop.database).await.is_err());
    }
}

#[tokio::test]
async fn functions_that_the_login_left_do_not_run_as_the_administrator() {
    for server in servers() {
        let shop = Shop::open(server).await;
        run(
            &mut server.root(&shop.database).await,
            &format!("create table caught (who text); grant insert on caught to public; grant {ADMIN} to root_of_tests"),
        )
        .await;
        let login = shop.issue().await.unwrap();
        // A better match for `count(boolean)` and for `oid = bigint` than the server's own.
        run(
            &mut shop.log_in(&login).await.unwrap(),
            "create function public.pg_terminate_backend(int) returns boolean language sql as
               $$ insert into public.caught values (current_user); select true $$;
             create function public.quote_ident(text) returns text language sql as
               $$ insert into public.caught values (current_user); select 'x' $$;
             create function public.eq(name, text) returns boolean language sql as
               $$ insert into public.caught values (current_user); select true $$;
             create operator public.= (leftarg = name, rightarg = text, function = public.eq);",
        )
        .await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        let mut root = server.root(&shop.database).await;
        let caught: i64 = sqlx::query_scalar("select count(*) from caught").fetch_one(&mut root).await.unwrap();
        assert_eq!(caught, 0);
    }
}

#[tokio::test]
async fn errors_hold_no_admin_password_and_say_whose_fault_it_is() {
    let server = &servers()[0];
    let shop = Shop::open(server).await;
    let settings = json!({"statements": {"rw": {"create": ["grant nobody_knows to {{name}}"]}}});
    let at = |host: &str| format!("postgresql://{ADMIN}@{host}/{}", shop.database);

    shop.connect_as(&at(&format!("127.0.0.1:{}", server.port)), &settings);
    let refused = shop.issue().await.err().unwrap();
    assert!(matches!(&refused, EngineError::TargetRefused(text) if text.contains("nobody_knows")), "{refused}");

    shop.connect_as(&format!("postgresql://{ADMIN}_x@127.0.0.1:{}/{}", server.port, shop.database), &settings);
    let no_login = shop.issue().await.err().unwrap();
    assert!(matches!(&no_login, EngineError::TargetRefused(_)), "{no_login}");

    shop.connect_as(&at("127.0.0.1:1"), &settings);
    let down = shop.issue().await.err().unwrap();
    assert!(matches!(&down, EngineError::TargetUnavailable(_)), "{down}");

    let in_url = format!("postgresql://{ADMIN}:{ADMIN_PASSWORD}@127.0.0.1/{}", shop.database);
    shop.connect_as(&in_url, &settings);
    let misplaced = shop.issue().await.err().unwrap();
    assert!(matches!(&misplaced, EngineError::Misconfigured(text) if text.contains("password_file")), "{misplaced}");

    shop.connect_as(&format!("postgresql://{ADMIN}:{ADMIN_PASSWORD}@[bad/x"), &settings);
    let garbled = shop.issue().await.err().unwrap();
    for error in [refused, no_login, down, misplaced, garbled] {
        assert!(!format!("{error} {error:?}").contains(ADMIN_PASSWORD), "{error:?}");
    }
}

#[tokio::test]
async fn refuses_roles_and_statements_that_the_connection_does_not_list() {
    let shop = Shop::open(&servers()[0]).await;
    let mut ask = shop.ask();
    ask.role = "other-deploy";
    let other = shop.engine.plan(&shop.bench, &ask).await.unwrap_err();
    assert!(matches!(&other, EngineError::Misconfigured(text) if text.contains("allowed_roles")), "{other}");

    let mut ask = shop.ask();
    ask.params.statements = "admin".to_owned();
    let unknown = shop.engine.plan(&shop.bench, &ask).await.unwrap_err();
    assert!(matches!(&unknown, EngineError::Misconfigured(text) if text.contains("it has: rw")), "{unknown}");

    shop.configure(&json!({"statments": {}}));
    let misspelt = shop.issue().await.err().unwrap();
    assert!(matches!(&misspelt, EngineError::Misconfigured(text) if text.contains("statments")), "{misspelt}");
}

#[tokio::test]
async fn a_login_that_locks_itself_in_an_open_transaction_is_taken_back() {
    for server in servers() {
        let shop = Shop::open(server).await;
        let login = shop.issue().await.unwrap();
        let user = login.value("username").to_owned();
        let mut session = shop.log_in(&login).await.unwrap();
        run(&mut session, "begin").await;
        run(&mut session, &format!("alter role {user} password 'mine'")).await;
        assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone, "PostgreSQL {}", server.version);
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err(), "its session is over");
        assert!(server.connect(&user, "mine", &shop.database).await.is_err());
    }
}

#[tokio::test]
async fn an_administrator_prints_without_its_password() {
    let shop = Shop::open(&servers()[0]).await;
    shop.issue().await.unwrap();
    let printed = format!("{:?}", shop.engine);
    assert!(printed.contains("127.0.0.1") && !printed.contains(ADMIN_PASSWORD), "{printed}");
}

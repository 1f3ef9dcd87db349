//! What must not be possible.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn a_late_create_finds_the_name_taken() {
    let Some(shop) = Shop::open().await else { return };
    let ask = shop.ask();
    let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
    // The sweep comes before the create.
    assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
    let late = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
    assert!(matches!(&late, EngineError::TargetRefused(text) if text.contains("CREATE USER failed")), "{late}");
    // A second sweep still holds the name.
    assert!(matches!(shop.revoke(&plan).await.unwrap(), Revoked::Held(_)));
    assert_eq!(shop.left(&plan).await, (1, 0));
}

#[tokio::test]
async fn nothing_is_made_after_the_deadline() {
    let Some(shop) = Shop::open().await else { return };
    let mut ask = shop.ask();
    ask.create_deadline = shop.bench.system.now();
    let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
    let late = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
    assert!(matches!(late, EngineError::TargetUnavailable(_)), "{late}");
    assert_eq!(shop.left(&plan).await, (0, 0));
}

/// A statement that reaches the server long after it was sent: the server itself must refuse it.
#[tokio::test]
async fn the_target_itself_refuses_after_the_deadline() {
    let Some(shop) = Shop::open().await else { return };
    let mut root = shop.root().await;
    let clock: i64 =
        sqlx::query_scalar("select cast(unix_timestamp(sysdate(6)) * 1000000 as signed)").fetch_one(&mut root).await.unwrap();
    let account = format!("late_{}", shop.database);
    for (deadline, made) in [(clock - 1, 0), (clock + 60_000_000, 1)] {
        let script = super::super::create::in_time(i128::from(deadline), &format!("create user '{account}'@'%' account lock"));
        let done = super::super::admin::run(&mut root, script).await.map_err(super::super::admin::map);
        assert_eq!(matches!(done, Err(EngineError::TargetUnavailable(_))), made == 0, "{done:?}");
        let count: i64 = sqlx::query_scalar("select count(*) from mysql.user where user = ?")
            .bind(&account)
            .fetch_one(&mut root)
            .await
            .unwrap();
        assert_eq!(count, made);
    }
    run(&mut root, &format!("drop user '{account}'@'%'")).await;
}

/// MariaDB, left to itself, makes an account without a password of a grant to nobody.
#[tokio::test]
async fn a_late_grant_makes_no_account() {
    let Some(shop) = Shop::open().await else { return };
    run(&mut shop.root().await, "set global sql_mode = ''").await;
    shop.configure(&json!({"statements": {"rw": {"create": [
        "drop user {{name}}", format!("grant select on {}.* to {{{{name}}}}", shop.database),
    ]}}}));
    let ask = shop.ask();
    let plan = shop.engine.plan(&shop.bench, &ask).await.unwrap();
    let refused = shop.engine.issue(&shop.bench, &ask, &plan).await.unwrap_err();
    run(&mut shop.root().await, "set global sql_mode = default").await;
    assert!(matches!(refused, EngineError::TargetRefused(_)), "{refused}");
    assert_eq!(shop.left(&plan).await, (0, 0));
}

#[tokio::test]
async fn the_servers_own_sql_mode_changes_no_quoting() {
    let Some(shop) = Shop::open().await else { return };
    run(&mut shop.root().await, "set global sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,ORACLE'").await;
    let fresh = Shop { engine: Mysql::default(), ..shop };
    fresh.configure(&json!({"statements": {"rw": {"create": [
        format!("grant select on {}.* to {{{{name}}}}", fresh.database), "do \"a\\\"; drop user root; --\"",
    ]}}}));
    let login = fresh.issue().await;
    run(&mut fresh.root().await, "set global sql_mode = default").await;
    let login = login.unwrap();
    fresh.log_in(&login).await.unwrap();
    assert_eq!(fresh.revoke(&login.plan).await.unwrap(), Revoked::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_a_reconnect_loop_get_nothing_after_the_end() {
    let Some(shop) = Shop::open().await else { return };
    shop.configure(&json!({"connection_limit": 20}));
    let login = shop.issue().await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let before = Arc::new(AtomicU32::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (over, before, port) = (over.clone(), before.clone(), shop.port);
            let (user, password) = (login.value("username").to_owned(), login.value("password").to_owned());
            tokio::spawn(async move {
                let (mut after, mut tries) = (0, 5);
                while tries > 0 {
                    tries -= i32::from(over.load(Ordering::SeqCst));
                    if let Ok(mut session) = connect(port, &user, &password).await {
                        while sqlx::query("select 1").execute(&mut session).await.is_ok() {
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
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    over.store(true, Ordering::SeqCst);
    for client in clients {
        assert_eq!(client.await.unwrap(), 0);
    }
}

/// A login that begins before the account is locked and answers the server's last question only afterwards.
#[tokio::test]
async fn a_login_held_open_half_way_does_not_survive() {
    let Some(shop) = Shop::open().await else { return };
    for named in [true, false] {
        let login = shop.issue().await.unwrap();
        let mut socket = TcpStream::connect(("127.0.0.1", shop.port)).await.unwrap();
        let greeting = packet(&mut socket).await.unwrap();
        if named {
            // The name, and a plugin that the account has not: the server asks anew and waits.
            let mut body = vec![0; 32];
            // Protocol 4.1, secure connection, plugin names.
            body[..4].copy_from_slice(&0x0008_8200_u32.to_le_bytes());
            body[8] = 33;
            body.extend(login.value("username").as_bytes());
            body.extend(b"\0\0caching_sha2_password\0");
            send(&mut socket, 1, &body).await;
            let asked = packet(&mut socket).await.unwrap();
            assert_eq!(asked[0], 0xfe, "the server must be waiting for this test to mean anything: {asked:?} after {greeting:?}");
        }
        let ended = shop.revoke(&login.plan).await.unwrap();
        assert_eq!(ended, Revoked::Gone);
        let closed = tokio::time::timeout(Duration::from_millis(200), packet(&mut socket)).await;
        assert!(matches!(closed, Ok(None)), "the half-open login must be closed, named: {named}, {closed:?}");
        assert_eq!(shop.left(&login.plan).await, (0, 0));
    }
}

async fn packet(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await.ok()?;
    let mut body = vec![0; usize::from(head[0]) + usize::from(head[1]) * 256];
    socket.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn send(socket: &mut TcpStream, number: u8, body: &[u8]) {
    let mut whole = vec![u8::try_from(body.len()).unwrap(), 0, 0, number];
    whole.extend(body);
    socket.write_all(&whole).await.unwrap();
}

#[tokio::test]
async fn no_clear_password_reaches_the_server_log() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    shop.log_in(&login).await.unwrap();
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    let opened = format!("alter user '{}'@'%' identified", login.value("username"));
    let (mut root, mut log, mut tries) = (shop.root().await, String::new(), 0);
    // The log is a table, which shows what was written since it was opened only when it is opened anew.
    while !log.contains(&opened) {
        assert!(tries < 100, "the log must hold our statements for this test to mean anything");
        tries += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        run(&mut root, "flush tables").await;
        let lines: Vec<Vec<u8>> =
            sqlx::query_scalar("select cast(argument as binary) from mysql.general_log").fetch_all(&mut root).await.unwrap();
        log = lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n");
    }
    assert!(!log.contains(login.value("password")));
}

#[tokio::test]
async fn the_login_cannot_lengthen_its_own_life() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    let user = login.value("username").to_owned();
    let mut session = shop.log_in(&login).await.unwrap();
    for statement in [
        format!("alter user '{user}'@'%' password expire never"),
        format!("alter user '{user}'@'%' with max_user_connections 0"),
        "create user other".to_owned(),
        format!("grant select on {}.* to '{user}'@'%' with grant option", shop.database),
    ] {
        assert!(sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut session).await.is_err(), "{statement}");
    }
    // It may change its password; that does not help it.
    run(&mut session, "set password = password('mine-and-mine')").await;
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    assert!(connect(shop.port, &user, "mine-and-mine").await.is_err());
}

#[tokio::test]
async fn a_busy_session_and_its_open_transaction_are_ended() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    let mut session = shop.log_in(&login).await.unwrap();
    run(&mut session, &format!("start transaction; insert into {}.orders values (3)", shop.database)).await;
    let mut sleeper = shop.log_in(&login).await.unwrap();
    let asleep = tokio::spawn(async move { sqlx::query("select sleep(60)").execute(&mut sleeper).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    assert!(asleep.await.unwrap().is_err());
    assert!(sqlx::query("commit").execute(&mut session).await.is_err());
    assert_eq!(shop.left(&login.plan).await, (0, 0));
}

/// Such a transaction outlives its session and its login, and its locks with it; in the login's way it must not stand.
#[tokio::test]
async fn what_a_login_leaves_prepared_does_not_keep_it() {
    let Some(shop) = Shop::open().await else { return };
    let login = shop.issue().await.unwrap();
    let mut session = shop.log_in(&login).await.unwrap();
    let (database, gid) = (&shop.database, format!("'{}'", shop.database));
    for step in ["start", "", "end", "prepare"] {
        let statement =
            if step.is_empty() { format!("insert into {database}.orders values (9)") } else { format!("xa {step} {gid}") };
        run(&mut session, &statement).await;
    }
    assert_eq!(shop.revoke(&login.plan).await.unwrap(), Revoked::Gone);
    assert_eq!(shop.left(&login.plan).await, (0, 0));
    assert!(shop.log_in(&login).await.is_err());
    run(&mut shop.root().await, &format!("xa rollback {gid}")).await;
}

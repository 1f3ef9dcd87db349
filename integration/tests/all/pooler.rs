//! PgBouncer between the broker and its database.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, Settings, deploy_claims};
use integration::replica::PATIENCE;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Pooler {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing where there is no PgBouncer.
fn pooler(ground: &Ground, mode: &str) -> Option<Pooler> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| std::path::Path::new(path).exists())?;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::Builder::new().prefix("daypass-pooler.").tempdir().unwrap();
    // It does not run as root, and another user has to read what is here.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (databases, users) = (&ground.databases, folder.path().join("users"));
    std::fs::write(&users, format!("\"{}\" \"{}\"\n", databases.serving_role(), databases.serving_password)).unwrap();
    let file = folder.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = plain\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 20\nmax_client_conn = 200\n\
         ignore_startup_parameters = extra_float_digits, options\n",
        databases.host(),
        databases.port(),
        users.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    let child = command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "PgBouncer does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(Pooler { child, port, _folder: folder })
}

fn database(ttl: &str) -> Value {
    json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": ttl})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_serves_where_it_keeps_sessions_together() {
    let ground = Ground::new().await.unwrap();
    let Some(pooler) = pooler(&ground, "session") else {
        eprintln!("left out: there is no PgBouncer here");
        return;
    };
    let settings = Settings { database_port: Some(pooler.port), ..Settings::default() };
    let dying = Settings { failpoints: "exchange::after_create=abort".to_owned(), ..settings.clone() };
    let token = || Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let spent = token();
    let victim = ground.start_with_keys(&dying).await.unwrap();
    assert!(victim.native.exchange(&spent, database("10m")).await.is_err(), "it died with the login made");
    drop(victim);
    assert_eq!(ground.databases.logins().await.unwrap().len(), 1);

    let replicas = [ground.start_with_keys(&settings).await.unwrap(), ground.start_with_keys(&settings).await.unwrap()];
    let mut given = Vec::new();
    for round in 0..10 {
        let token = token();
        let answers =
            [replicas[0].native.exchange(&token, database("10s")), replicas[1].native.exchange(&token, database("10s"))];
        let [first, second] = answers;
        let (first, second) = tokio::join!(first, second);
        let (mut won, mut lost) = (first.unwrap(), second.unwrap());
        if won.status != 200 {
            std::mem::swap(&mut won, &mut lost);
        }
        assert_eq!((lost.status, lost.code().as_str()), (401, "token_already_used"), "round {round}: {won:?} {lost:?}");
        given.push(won.granted().unwrap().credentials["database"].values.clone());
    }
    assert!(ground.login(&given[9]).await.is_ok());
    let until = Instant::now() + PATIENCE * 2;
    while ground.databases.count("leases where due_at is not null").await.unwrap() > 0 {
        assert!(Instant::now() < until, "{}", replicas[0].output());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(ground.databases.logins().await.unwrap().is_empty());
    assert_eq!(
        replicas[0].native.exchange(&spent, database("4s")).await.unwrap().status,
        200,
        "what the dead one began was taken back"
    );
}

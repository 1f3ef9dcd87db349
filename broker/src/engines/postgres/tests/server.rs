//! Real PostgreSQL servers, one of each version found on the machine, for as long as the tests run.

use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, thread};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The password of the administrator that every server gets.
pub(super) const ADMIN_PASSWORD: &str = "admin-canary-4711";
/// The administrator's name: it may create roles and is no superuser.
pub(super) const ADMIN: &str = "daypass_admin";

#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) version: String,
    /// What its TLS certificate is checked against, if it has one.
    pub(super) certificate: Option<PathBuf>,
    log: PathBuf,
    /// Holds the pipe whose end stops the server.
    _keeper: Child,
}

/// One running server of each version: from `DAYPASS_TEST_PG_BINS` (folders, separated by colons) or from the usual places.
pub(super) fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let bins = match env::var("DAYPASS_TEST_PG_BINS") {
            Ok(list) => list.split(':').filter(|bin| !bin.is_empty()).map(PathBuf::from).collect::<Vec<_>>(),
            Err(_) => fs::read_dir("/usr/lib/postgresql")
                .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
                .unwrap_or_default(),
        };
        let servers: Vec<_> = bins.iter().filter(|bin| bin.join("initdb").exists()).map(|bin| Server::start(bin)).collect();
        assert!(!servers.is_empty(), "no PostgreSQL found: install one, or name its bin folder in DAYPASS_TEST_PG_BINS");
        servers
    })
}

impl Server {
    fn start(bin: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = env::temp_dir().join(format!("daypass-engine-{}-{port}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
        let owner = other_user();
        if let Some((user, group)) = owner {
            chown(&home, Some(user), Some(group)).unwrap();
        }
        let command = |program: &Path| {
            let mut command = Command::new(program);
            command.current_dir("/").env("LC_ALL", "C");
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let data = home.join("data");
        let made = command(&bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "root_of_tests", "--auth-host=scram-sha-256", "--auth-local=trust", "-E", "UTF8", "--locale=C", "-N"])
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        // Not every build of PostgreSQL can speak TLS.
        let asked = command(&bin.join("postgres")).arg("-D").arg(&data).args(["-c", "ssl=on", "-C", "ssl"]).output().unwrap();
        let certificate = asked.status.success().then(|| {
            let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
            let (certificate, key) = (data.join("server.crt"), data.join("server.key"));
            fs::write(&certificate, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = owner {
                chown(&key, Some(user), Some(group)).unwrap();
            }
            certificate
        });
        let ssl = if certificate.is_some() { "on" } else { "off" };

        // The shell stops the server and clears up when this process ends, however it ends: then its input ends.
        let log = home.join("log");
        let keeper = command(Path::new("/bin/sh"))
            .arg("-c")
            .arg(
                "\"$1/postgres\" -D \"$2/data\" -k \"$2\" -h 127.0.0.1 -p \"$3\" -c fsync=off -c log_statement=all -c ssl=\"$4\" \
                 -c max_connections=60 -c shared_buffers=16MB -c max_prepared_transactions=8 -c wal_level=logical 2>\"$2/log\" & child=$!; read -r _; kill -INT $child; wait $child; \
                 rm -rf \"$2\"",
            )
            .arg("sh")
            .arg(bin)
            .arg(&home)
            .arg(port.to_string())
            .arg(ssl)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { port, version: String::new(), certificate, log, _keeper: keeper };
        server.prepare(&home);
        server
    }

    /// Waits until it answers, then makes the administrator. Runs on a thread of its own: the tests are inside a runtime.
    fn prepare(&mut self, socket: &Path) {
        let options =
            PgConnectOptions::new_without_pgpass().socket(socket).port(self.port).username("root_of_tests").database("postgres");
        let version = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let mut tries = 0;
                let mut root = loop {
                    match PgConnection::connect_with(&options).await {
                        Ok(root) => break root,
                        Err(error) if tries > 200 => panic!("PostgreSQL did not start: {error}"),
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                    tries += 1;
                };
                run(
                    &mut root,
                    &format!(
                        "create role {ADMIN} login createrole password '{ADMIN_PASSWORD}';
                         alter role root_of_tests password 'root';"
                    ),
                )
                .await;
                sqlx::query_scalar("select current_setting('server_version')").fetch_one(&mut root).await.unwrap()
            })
        });
        self.version = version.join().unwrap();
    }

    /// A session as any user, in any database.
    pub(super) async fn connect(&self, user: &str, password: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(user)
            .password(password)
            .database(database);
        PgConnection::connect_with(&options).await
    }

    pub(super) async fn root(&self, database: &str) -> PgConnection {
        self.connect("root_of_tests", "root", database).await.unwrap()
    }

    /// All that the server wrote so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }
}

pub(super) async fn run(connection: &mut PgConnection, script: &str) {
    sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(connection).await.unwrap();
}

/// PostgreSQL refuses to run as root; then `postgres` runs it, or `nobody`.
fn other_user() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

//! Against a real MariaDB, which `./dev test` starts and names in `DAYPASS_TEST_MARIADB`; without one these tests say so and
//! do nothing.

mod attacks;
mod life;
mod strays;
mod targets;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::claims::{Claims, Object};
use domain::secret::Secret;
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, Connection as _};
use url::Url;
use uuid::Uuid;

use super::{Mysql, Params};
use crate::engines::engine::{Ask, Bench, Engine as _, EngineError, Issued, Plan, Revoked};
use crate::store::{Connection, Connections, Secrets};
use crate::system::System;

/// The password of the administrators.
const ADMIN_PASSWORD: &str = "admin-canary-4711";

/// Where the server is, as `mysql://root:password@host:port`.
fn server() -> Option<&'static Url> {
    static SERVER: OnceLock<Option<Url>> = OnceLock::new();
    let url = SERVER.get_or_init(|| std::env::var("DAYPASS_TEST_MARIADB").ok().map(|url| url.parse().unwrap()));
    if url.is_none() {
        println!("skipped: DAYPASS_TEST_MARIADB names no server");
    }
    url.as_ref()
}

/// One database of its own with an administrator of its own, its connection, and the engine.
struct Shop {
    port: u16,
    database: String,
    admin: String,
    engine: Mysql,
    bench: Bench,
    claims: Claims,
}

/// A login that was handed out.
struct Login {
    plan: Plan,
    issued: Issued,
}

impl Shop {
    /// A database with a table, and an administrator that may do what `deploy/mysql-admin.sql` says, and no more.
    async fn open() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let port = server()?.port().unwrap();
        let tag = format!("{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (system, _) = System::real();
        let bench =
            Bench { system, deployment: "abcdef".to_owned(), connections: Connections::default(), secrets: Secrets::default() };
        let shop = Self {
            port,
            database: format!("shop_{tag}"),
            admin: format!("daypass_{tag}"),
            engine: Mysql::default(),
            bench,
            claims: Claims::from_verified(Object::default()),
        };
        let Self { database, admin, .. } = &shop;
        run(
            &mut shop.root().await,
            &format!(
                "create database {database}; create table {database}.orders (id int); insert into {database}.orders values (1);
                 create user {admin}@'%' identified by '{ADMIN_PASSWORD}';
                 grant create user, process, connection admin on *.* to {admin}@'%';
                 grant select (user, host, max_questions) on mysql.user to {admin}@'%';
                 grant select, insert, create routine on {database}.* to {admin}@'%' with grant option"
            ),
        )
        .await;
        shop.configure(&json!({}));
        Some(shop)
    }

    /// Puts the connection in place, with `more` in its settings.
    fn configure(&self, more: &Value) {
        let grant = format!("grant select, insert on {}.* to {{{{name}}}}", self.database);
        let mut settings = json!({"statements": {"rw": {"create": [grant]}}});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.connect_as(&self.url(""), &settings);
    }

    fn url(&self, query: &str) -> String {
        format!("mysql://{}@127.0.0.1:{}/{}{query}", self.admin, self.port, self.database)
    }

    fn connect_as(&self, url: &str, settings: &Value) {
        static VERSION: AtomicU32 = AtomicU32::new(1);
        self.bench.connections.replace(vec![Connection {
            name: "shop".to_owned(),
            engine: "mysql".to_owned(),
            version: VERSION.fetch_add(1, Ordering::Relaxed).into(),
            url: url.to_owned(),
            password: Some(Secret::from(ADMIN_PASSWORD)),
            settings: settings.as_object().unwrap().clone(),
            allowed_roles: vec!["shop-*".to_owned()],
            concurrency: 4,
            max_leases: 1_000,
        }]);
    }

    fn ask(&self) -> Ask<'_, Params> {
        let now = self.bench.system.now();
        Ask {
            lease_id: Uuid::now_v7(),
            role: "shop-deploy",
            claims: &self.claims,
            params: Params { connection: "shop".to_owned(), statements: "rw".to_owned() },
            ttl: Duration::from_mins(10),
            expires_at: now + Duration::from_mins(10),
            create_deadline: now + Duration::from_secs(10),
            input: None,
        }
    }

    async fn issue(&self) -> Result<Login, EngineError> {
        let ask = self.ask();
        let plan = self.engine.plan(&self.bench, &ask).await?;
        let issued = self.engine.issue(&self.bench, &ask, &plan).await?;
        Ok(Login { plan, issued })
    }

    async fn revoke(&self, plan: &Plan) -> Result<Revoked, EngineError> {
        self.engine.revoke(&self.bench, &plan.handle).await
    }

    async fn log_in(&self, login: &Login) -> Result<MySqlConnection, sqlx::Error> {
        connect(self.port, login.value("username"), login.value("password")).await
    }

    async fn root(&self) -> MySqlConnection {
        let root = server().unwrap();
        connect(self.port, root.username(), root.password().unwrap()).await.unwrap()
    }

    /// How many accounts of that name the server has, and how many sessions.
    async fn left(&self, plan: &Plan) -> (i64, i64) {
        sqlx::query_as(
            "select (select count(*) from mysql.user where user = ?), (select count(*) from information_schema.processlist where user = ?)",
        )
        .bind(plan.upstream.as_deref())
        .bind(plan.upstream.as_deref())
        .fetch_one(&mut self.root().await)
        .await
        .unwrap()
    }
}

impl Login {
    fn value(&self, name: &str) -> &str {
        self.issued.values[name].expose()
    }
}

async fn connect(port: u16, user: &str, password: &str) -> Result<MySqlConnection, sqlx::Error> {
    let options = MySqlConnectOptions::new().host("127.0.0.1").port(port).username(user).password(password);
    MySqlConnection::connect_with(&options.ssl_mode(MySqlSslMode::Disabled)).await
}

async fn run(connection: &mut MySqlConnection, script: &str) {
    sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(connection).await.unwrap();
}

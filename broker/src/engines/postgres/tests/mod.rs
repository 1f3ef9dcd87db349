//! Against real servers: every test runs on each version found.

mod attacks;
mod hands;
mod life;
mod names;
mod prepared;
mod remains;
mod server;
mod strays;
mod targets;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::claims::{Claims, Object};
use domain::secret::Secret;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use self::server::{ADMIN, ADMIN_PASSWORD, Server, run};
use super::{Params, Postgres};
use crate::engines::engine::{Ask, Bench, Engine as _, EngineError, Issued, Plan, Revoked};
use crate::store::{Connection, Connections, Secrets};
use crate::system::System;

/// One database of its own, its connection, and the engine.
struct Shop {
    server: &'static Server,
    database: String,
    engine: Postgres,
    bench: Bench,
    claims: Claims,
}

/// A login that was handed out.
struct Login {
    plan: Plan,
    issued: Issued,
}

impl Shop {
    /// A database with a table, and the group `<database>_rw` that may use it.
    async fn open(server: &'static Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("shop{}", COUNT.fetch_add(1, Ordering::Relaxed));
        run(&mut server.root("postgres").await, &format!("create database {database}")).await;
        run(
            &mut server.root(&database).await,
            &format!(
                "create role {database}_rw; grant {database}_rw to {ADMIN} with admin option;
                 create table orders (id int); insert into orders values (1);
                 grant select, insert on orders to {database}_rw; grant create, usage on schema public to {database}_rw;"
            ),
        )
        .await;
        let (system, _) = System::real();
        let bench =
            Bench { system, deployment: "abcdef".to_owned(), connections: Connections::default(), secrets: Secrets::default() };
        let shop =
            Self { server, database, engine: Postgres::default(), bench, claims: Claims::from_verified(Object::default()) };
        shop.configure(&json!({}));
        shop
    }

    /// Puts the connection in place, with `more` in its settings.
    fn configure(&self, more: &Value) {
        let mut settings = json!({"statements": {"rw": {"create": [format!("grant {}_rw to {{{{name}}}}", self.database)]}}});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.connect_as(&format!("postgresql://{ADMIN}@127.0.0.1:{}/{}", self.server.port, self.database), &settings);
    }

    fn connect_as(&self, url: &str, settings: &Value) {
        static VERSION: AtomicU32 = AtomicU32::new(1);
        self.bench.connections.replace(vec![Connection {
            name: "shop".to_owned(),
            engine: "postgres".to_owned(),
            version: VERSION.fetch_add(1, Ordering::Relaxed).into(),
            url: url.to_owned(),
            password: Some(Secret::from(ADMIN_PASSWORD)),
            settings: settings.as_object().unwrap().clone(),
            allowed_roles: vec!["shop-*".to_owned()],
            concurrency: 4,
            max_leases: 5_000,
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

    async fn log_in(&self, login: &Login) -> Result<PgConnection, sqlx::Error> {
        self.server.connect(login.value("username"), login.value("password"), &self.database).await
    }

    async fn role_exists(&self, plan: &Plan) -> bool {
        let role = plan.upstream.as_deref().unwrap();
        let mut root = self.server.root("postgres").await;
        sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
            .bind(role)
            .fetch_one(&mut root)
            .await
            .unwrap()
    }
}

impl Login {
    fn value(&self, name: &str) -> &str {
        self.issued.values[name].expose()
    }
}

/// Every value of a login in clear, for comparing.
fn clear(issued: &Issued) -> BTreeMap<&str, &str> {
    issued.values.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect()
}

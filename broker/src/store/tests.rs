//! Against a real PostgreSQL: `DATABASE_URL` names one where databases can be made.

use std::sync::Arc;

use domain::audit::{Kind, Record as Audit};
use domain::lease::State;
use domain::secret::Secret;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::crypto::seals::Environment;

mod data_keys;
mod far_back;
mod job_ends;
mod leases;
mod marks;
mod others;
mod schema;
mod secrets;
mod servers;
mod writer;

/// A store on the database of `pool`, as one replica of a deployment.
pub(crate) async fn open(pool: &PgPool) -> Store {
    open_with(pool, root("0a1b"), &Options { max_connections: 4, ..Options::default() }).await.unwrap()
}

/// A root key for tests.
pub(crate) fn root(word: &str) -> Arc<dyn Seal> {
    Arc::new(Environment::from_value("TEST_ROOT_KEY", word.repeat(16)).unwrap())
}

async fn open_with(pool: &PgPool, seal: Arc<dyn Seal>, options: &Options) -> Result<Store, StoreError> {
    Store::open(options, vec![(*pool.connect_options()).clone()], seal, System::real().0).await
}

fn id(store: &Store) -> Uuid {
    store.system().row_id().unwrap()
}

fn audit(store: &Store, kind: Kind) -> Audit {
    Audit::new(id(store), store.system().now(), kind, id(store))
}

fn session(store: &Store) -> NewSession {
    let now = store.system().now();
    NewSession {
        id: id(store),
        token_hash: store.system().random().unwrap(),
        issuer: "github".to_owned(),
        role: "deploy".to_owned(),
        project: Some("42".to_owned()),
        project_name: Some("acme/shop".to_owned()),
        run: Some("7".to_owned()),
        attempt: None,
        job: None,
        idempotency: None,
        opened_at: now,
        ends_at: now + Duration::hours(1),
    }
}

fn lease(store: &Store, session_id: Uuid) -> NewLease {
    let (now, id) = (store.system().now(), id(store));
    NewLease {
        id,
        session_id,
        role: "deploy".to_owned(),
        credential: "db".to_owned(),
        engine: "postgres",
        connection: Some("shop".to_owned()),
        upstream: Some(format!("dp_{}", id.simple())),
        state: State::Pending,
        revocable: true,
        handle: Secret::new(b"undo me".to_vec()),
        issued_at: now,
        expires_at: now + Duration::minutes(15),
        create_deadline: now + Duration::seconds(10),
        max_live_of_role: 1_000,
        max_live_of_session: 10_000,
        max_live_of_connection: None,
    }
}

/// A whole first step: a use of `token`, a session, a lease, and its record.
fn first(store: &Store, token: [u8; 32]) -> Record {
    let session = session(store);
    let mut asked = audit(store, Kind::ExchangeAsked)
        .field("claim.sub", "repo:acme/shop")
        .field("claim.run_attempt", 1)
        .personal("claim.actor", [9; 16], "octocat");
    asked.session_id = Some(session.id);
    Record {
        of_session: None,
        token_use: Some(TokenUse {
            issuer: "https://ci.example".to_owned(),
            token_hash: token,
            uses: 1,
            idempotency: None,
            session_id: session.id,
            keep_until: store.system().now() + Duration::minutes(12),
            replaces: None,
        }),
        leases: vec![lease(store, session.id)],
        session: Some(session),
        activate: Vec::new(),
        audit: vec![asked],
    }
}

fn activation(store: &Store, lease: &NewLease) -> Record {
    Record {
        activate: vec![Activation { lease_id: lease.id, to: State::Active, expires_at: lease.expires_at, marks: Vec::new() }],
        audit: vec![audit(store, Kind::ExchangeGranted)],
        ..Record::default()
    }
}

async fn count(pool: &PgPool, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from daypass.{table}"));
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

fn close_to(one: OffsetDateTime, other: OffsetDateTime) -> bool {
    (one - other).abs() < Duration::milliseconds(1)
}

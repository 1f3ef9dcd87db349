//! A PostgreSQL login of its own for every lease.
//!
//! The role is named before it is made and that name is never used twice, so whoever comes later can always tell what is whose.
//! Making it is one transaction that refuses itself after the create deadline; taking it back first shuts the login, then removes
//! what it owns, then the role. Both work for an administrator with CREATEROLE who is no superuser, on PostgreSQL 14 and later.

mod admin;
mod create;
mod remove;
mod settings;
mod statement;
mod strays;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use domain::credentials::postgres::{NAME, Params};
use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use self::admin::Pools;
use self::settings::Settings;
use super::engine::{Ask, Bench, Engine, EngineError, Found, Issued, Order, Plan, Revoked};
use super::target;
use crate::store::Connection;

/// How long after the lease the role's own expiry lies: the worker should come first, the clock is the last resort.
const EXPIRY_MARGIN: time::Duration = time::Duration::seconds(30);

/// The engine. It keeps a small pool to each target.
#[derive(Debug, Default)]
pub struct Postgres {
    pools: Pools,
}

/// What is needed to take a login back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Handle {
    connection: String,
    /// The name of the role in the target.
    role: String,
    /// The statement set that it was made with.
    statements: String,
    /// Where that set ran, beside the connection's own database.
    databases: Vec<String>,
    /// After this moment the role cannot come into being any more.
    #[serde(with = "time::serde::rfc3339")]
    deadline: OffsetDateTime,
}

impl Engine for Postgres {
    const NAME: &'static str = NAME;
    const ORDER: Order = Order::Revocable;
    type Params = Params;

    fn check(connection: &Connection, wanted: Option<&Params>) -> Result<(), EngineError> {
        let settings = Settings::of(connection)?;
        admin::options(connection, &settings)?;
        wanted.map_or(Ok(()), |params| settings.statements(&params.statements).map(|_| ()))
    }

    async fn plan(&self, bench: &Bench, ask: &Ask<'_, Params>) -> Result<Plan, EngineError> {
        let connection = target::connection_for(bench, Self::NAME, &ask.params.connection, ask.role)?;
        let settings = Settings::of(&connection)?;
        let role = role_name(&bench.deployment, ask.lease_id)?;
        let handle = Handle {
            connection: connection.name.clone(),
            role: role.clone(),
            statements: ask.params.statements.clone(),
            databases: settings.statements(&ask.params.statements)?.databases.clone(),
            deadline: ask.create_deadline,
        };
        Ok(Plan {
            upstream: Some(role),
            connection: Some(connection.name.clone()),
            handle: Secret::new(serde_json::to_vec(&handle).map_err(|error| EngineError::Fault(error.into()))?),
            revocable: true,
            leased: true,
        })
    }

    async fn issue(&self, bench: &Bench, ask: &Ask<'_, Params>, plan: &Plan) -> Result<Issued, EngineError> {
        let connection = target::connection_for(bench, Self::NAME, &ask.params.connection, ask.role)?;
        let settings = Settings::of(&connection)?;
        let handle = Handle::read(&plan.handle)?;
        let password = create::password(&bench.system)?;
        let verifier = create::verifier(&bench.system, &password, &settings)?;

        let admin = self.pools.admin(&connection, &settings)?;
        let order = create::Order {
            role: &handle.role,
            verifier: &verifier,
            comment: comment(&bench.deployment, ask),
            expires_at: ask.expires_at + EXPIRY_MARGIN,
            deadline: handle.deadline,
            connection_limit: settings.connection_limit,
            statements: settings.statements(&ask.params.statements)?,
        };
        create::create(&bench.system, &admin, &order).await?;

        let database = order.statements.databases.first().cloned().unwrap_or_else(|| admin.database().to_owned());
        let values = BTreeMap::from([
            ("username".to_owned(), Secret::from(handle.role.as_str())),
            ("host".to_owned(), Secret::from(admin.host())),
            ("port".to_owned(), Secret::from(admin.port().to_string())),
            ("database".to_owned(), Secret::from(database.as_str())),
            ("sslmode".to_owned(), Secret::from(admin.ssl_mode())),
            ("url".to_owned(), admin.url(&handle.role, &password, &database)?),
            ("password".to_owned(), password),
        ]);
        Ok(Issued {
            values,
            native_expiry: Some(order.expires_at),
            facts: BTreeMap::from([("username".to_owned(), handle.role), ("database".to_owned(), database)]),
        })
    }

    async fn revoke(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        let handle = Handle::read(handle)?;
        let connection = target::connection(bench, Self::NAME, &handle.connection)?;
        let settings = Settings::of(&connection)?;
        let admin = self.pools.admin(&connection, &settings)?;
        remove::remove(&bench.system, &admin, &settings, &handle).await
    }

    async fn list(&self, bench: &Bench, connection: &str) -> Result<Option<Vec<Found>>, EngineError> {
        let connection = target::connection(bench, Self::NAME, connection)?;
        let admin = self.pools.admin(&connection, &Settings::of(&connection)?)?;
        strays::list(&admin, &connection.name, &bench.deployment).await.map(Some)
    }

    async fn shut(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<bool, EngineError> {
        let handle = Handle::read(handle)?;
        let connection = target::connection(bench, Self::NAME, &handle.connection)?;
        let admin = self.pools.admin(&connection, &Settings::of(&connection)?)?;
        strays::shut(&admin, &handle.role).await
    }
}

impl Handle {
    fn read(bytes: &Secret<Vec<u8>>) -> Result<Self, EngineError> {
        serde_json::from_slice(bytes.expose()).map_err(|error| EngineError::Fault(error.into()))
    }
}

/// `dp_<deployment>_<lease>`: 36 bytes of `a-z2-7_`, far below the 63 that PostgreSQL keeps of a name.
fn role_name(deployment: &str, lease_id: Uuid) -> Result<String, EngineError> {
    if deployment.len() != 6 || !deployment.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')) {
        return Err(EngineError::Misconfigured(format!("`{deployment}` is not a deployment name: six characters of a-z2-7")));
    }
    let lease = base32(lease_id.as_u128());
    Ok(format!("dp_{deployment}_{lease}"))
}

/// The 26 base32 digits of an id, most significant first.
fn base32(id: u128) -> String {
    (0..26)
        .rev()
        .map(|place| match u8::try_from((id >> (5 * place)) & 31).unwrap_or(0) {
            digit @ 0..=25 => char::from(b'a' + digit),
            digit => char::from(b'2' + digit - 26),
        })
        .collect()
}

/// The id that stands in the name of a role, if it is one that [`role_name`] makes.
fn lease_of(deployment: &str, role: &str) -> Option<Uuid> {
    let digits = role.strip_prefix("dp_")?.strip_prefix(deployment)?.strip_prefix('_')?;
    let id = digits.bytes().try_fold(0_u128, |id, digit| {
        let value = match digit {
            b'a'..=b'z' => digit - b'a',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        Some(id << 5 | u128::from(value))
    })?;
    // What is too long or too large reads back as another name.
    (base32(id) == digits).then(|| Uuid::from_u128(id))
}

/// What a database administrator reads beside the role.
fn comment<P>(deployment: &str, ask: &Ask<'_, P>) -> String {
    format!("daypass {deployment}: lease {} of role {}, ends {}", ask.lease_id, ask.role, ask.expires_at)
}

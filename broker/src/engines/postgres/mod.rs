//! A PostgreSQL login of its own for every lease.
//!
//! The role is named before it is made and that name is never used twice, so whoever comes later can always tell what is whose.
//! Making it is one transaction that refuses itself after the create deadline; taking it back first shuts the login, then removes
//! what it owns, then the role. Both work for an administrator with CREATEROLE who is no superuser, on PostgreSQL 14 and later.

mod admin;
mod create;
mod denied;
mod prepared;
mod prolong;
mod remove;
mod settings;
mod statement;
mod strays;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use domain::credentials::database::{POSTGRES, Params};
use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use self::admin::Admin;
use self::settings::Settings;
use super::engine::{Ask, Bench, Engine, EngineError, Found, Issued, Order, Plan, Revoked};
use super::pool::Pools;
use super::{login, target};
use crate::store::Connection;

/// How long after the lease the role's own expiry lies: the worker should come first, the clock is the last resort.
const EXPIRY_MARGIN: time::Duration = time::Duration::seconds(30);

/// The engine. It keeps a small pool to each target.
#[derive(Debug, Default)]
pub struct Postgres {
    pools: Pools<Admin>,
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
    const NAME: &'static str = POSTGRES;
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
        let role = login::name(&bench.deployment, ask.lease_id)?;
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
        let password = login::password(&bench.system)?;
        let verifier = create::verifier(&bench.system, &password, &settings)?;

        let admin = self.pools.admin(&connection, || Admin::new(&connection, &settings))?;
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

    async fn renew(&self, bench: &Bench, handle: &Secret<Vec<u8>>, until: OffsetDateTime) -> Result<(), EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, _) = self.admin(bench, &handle.connection)?;
        prolong::prolong(&bench.system, &admin, &handle.role, until + EXPIRY_MARGIN).await
    }

    async fn revoke(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, settings) = self.admin(bench, &handle.connection)?;
        remove::remove(&bench.system, &admin, &settings, &handle).await
    }

    async fn list(&self, bench: &Bench, connection: &str) -> Result<Option<Vec<Found>>, EngineError> {
        let (admin, _) = self.admin(bench, connection)?;
        strays::list(&bench.system, &admin, connection, &bench.deployment).await.map(Some)
    }

    async fn shut(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<bool, EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, _) = self.admin(bench, &handle.connection)?;
        strays::shut(&admin, &handle.role).await
    }
}

impl Postgres {
    fn admin(&self, bench: &Bench, connection: &str) -> Result<(Admin, Settings), EngineError> {
        let connection = target::connection(bench, Self::NAME, connection)?;
        let settings = Settings::of(&connection)?;
        let admin = self.pools.admin(&connection, || Admin::new(&connection, &settings))?;
        Ok((admin, settings))
    }
}

impl Handle {
    fn read(bytes: &Secret<Vec<u8>>) -> Result<Self, EngineError> {
        serde_json::from_slice(bytes.expose()).map_err(|error| EngineError::Fault(error.into()))
    }
}

/// What a database administrator reads beside the role.
fn comment<P>(deployment: &str, ask: &Ask<'_, P>) -> String {
    format!("daypass {deployment}: lease {} of role {}, ends {}", ask.lease_id, ask.role, ask.expires_at)
}

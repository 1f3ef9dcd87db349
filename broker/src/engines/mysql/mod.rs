//! A MySQL or MariaDB login of its own for every lease.
//!
//! These servers commit every statement about accounts at once, so there is no transaction to make a login in. Its account
//! is therefore made locked, by a statement that the server refuses after the create deadline, then given its rights, and opened
//! last. Taking it back first locks it, then ends its sessions (they would outlive the account), then drops it. An account that
//! was never made has its name held, locked, until nothing can make it any more. Both work for an administrator that is no
//! superuser, on MySQL 8.0 and MariaDB 10.5 and later.

mod admin;
mod create;
mod prolong;
mod remove;
mod settings;
mod statement;
mod strays;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use domain::credentials::database::{MYSQL, Params};
use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use self::admin::Admin;
use self::settings::Settings;
use super::engine::{Ask, Bench, Engine, EngineError, Found, Issued, Order, Plan, Revoked};
use super::pool::Pools;
use super::{login, target};
use crate::store::Connection;

/// The engine. It keeps a small pool to each target.
#[derive(Debug, Default)]
pub struct Mysql {
    pools: Pools<Admin>,
}

/// What is needed to take a login back.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Handle {
    connection: String,
    /// The name of the account in the target; its host is `%`.
    user: String,
    /// The statement set that it was made with.
    statements: String,
    /// After this moment the account cannot come into being any more.
    #[serde(with = "time::serde::rfc3339")]
    deadline: OffsetDateTime,
}

impl Engine for Mysql {
    const NAME: &'static str = MYSQL;
    const ORDER: Order = Order::Revocable;
    type Params = Params;

    fn check(connection: &Connection, wanted: Option<&Params>) -> Result<(), EngineError> {
        let settings = Settings::of(connection)?;
        admin::address(connection, &settings)?;
        wanted.map_or(Ok(()), |params| settings.statements(&params.statements).map(|_| ()))
    }

    async fn plan(&self, bench: &Bench, ask: &Ask<'_, Params>) -> Result<Plan, EngineError> {
        let connection = target::connection_for(bench, Self::NAME, &ask.params.connection, ask.role)?;
        Settings::of(&connection)?.statements(&ask.params.statements)?;
        let user = login::name(&bench.deployment, ask.lease_id)?;
        let handle = Handle {
            connection: connection.name.clone(),
            user: user.clone(),
            statements: ask.params.statements.clone(),
            deadline: ask.create_deadline,
        };
        Ok(Plan {
            upstream: Some(user),
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

        let admin = self.pools.admin(&connection, || Admin::new(&connection, &settings))?;
        let order = create::Order {
            user: &handle.user,
            password: &password,
            deadline: handle.deadline,
            settings: &settings,
            statements: settings.statements(&ask.params.statements)?,
        };
        create::create(&bench.system, &admin, &order).await?;

        let at = admin.address();
        let mut values = BTreeMap::from([
            ("username".to_owned(), Secret::from(handle.user.as_str())),
            ("host".to_owned(), Secret::from(at.host.as_str())),
            ("port".to_owned(), Secret::from(at.port.to_string())),
            ("ssl_mode".to_owned(), Secret::from(at.ssl_mode())),
            ("url".to_owned(), at.url(&handle.user, &password)?),
            ("password".to_owned(), password),
        ]);
        let mut facts = BTreeMap::from([("username".to_owned(), handle.user)]);
        if let Some(database) = &at.database {
            values.insert("database".to_owned(), Secret::from(database.as_str()));
            facts.insert("database".to_owned(), database.clone());
        }
        // The account's own expiry counts in days, and its holder can begin it anew with a new password: nothing to rely on.
        Ok(Issued { values, native_expiry: None, facts })
    }

    async fn revoke(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, settings) = self.admin(bench, &handle.connection)?;
        remove::remove(&bench.system, &admin, &settings, &handle).await
    }

    async fn renew(&self, bench: &Bench, handle: &Secret<Vec<u8>>, _until: OffsetDateTime) -> Result<(), EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, _) = self.admin(bench, &handle.connection)?;
        prolong::prolong(&admin, &handle.user).await
    }

    async fn list(&self, bench: &Bench, connection: &str) -> Result<Option<Vec<Found>>, EngineError> {
        let (admin, _) = self.admin(bench, connection)?;
        strays::list(&admin, connection, &bench.deployment).await.map(Some)
    }

    async fn shut(&self, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<bool, EngineError> {
        let handle = Handle::read(handle)?;
        let (admin, _) = self.admin(bench, &handle.connection)?;
        strays::shut(&admin, &handle.user).await
    }
}

impl Mysql {
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

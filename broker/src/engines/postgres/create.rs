//! Making a login.

use std::time::Duration;

use domain::secret::Secret;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::EngineError;
use super::admin::{Admin, LIMITS, TOO_LATE, map, run};
use super::settings::{Fill, Settings, StatementSet};
use crate::crypto::scram::Verifier;
use crate::system::System;

/// Everything that says what is to be made.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) role: &'a str,
    pub(super) verifier: &'a Secret<String>,
    pub(super) comment: String,
    pub(super) expires_at: OffsetDateTime,
    pub(super) deadline: OffsetDateTime,
    pub(super) connection_limit: std::num::NonZeroU32,
    pub(super) statements: &'a StatementSet,
}

pub(super) fn verifier(system: &System, password: &Secret<String>, settings: &Settings) -> Result<Secret<String>, EngineError> {
    let salt = system.random().map_err(|error| EngineError::Fault(error.into()))?;
    let verifier = Verifier::new(password, salt, settings.scram_iterations).map_err(|error| EngineError::Fault(error.into()))?;
    Ok(verifier.to_postgres())
}

/// Makes the role before the deadline or not at all.
pub(super) async fn create(system: &System, admin: &Admin, order: &Order<'_>) -> Result<(), EngineError> {
    let left = Duration::try_from(order.deadline - system.now()).unwrap_or_default();
    if left.is_zero() {
        return Err(EngineError::TargetUnavailable("the create deadline passed before it was asked".to_owned()));
    }
    admin.within(left, async |home| make(home, system, admin, order).await).await
}

async fn make(home: &mut PgConnection, system: &System, admin: &Admin, order: &Order<'_>) -> Result<(), EngineError> {
    let quoted = Quoted::ask(system, &mut *home, order).await?;
    let mut elsewhere = Vec::new();
    let mut script = quoted.role(order);
    if order.statements.databases.is_empty() {
        script += &quoted.rights(order);
    }
    for database in &order.statements.databases {
        if database == admin.database() {
            script += &quoted.rights(order);
        } else {
            elsewhere.push(database);
        }
    }
    run(home, script + &quoted.in_time()).await.map_err(map)?;
    for database in elsewhere {
        let mut visit = admin.visit(database).await?;
        run(&mut visit, LIMITS.to_owned() + &quoted.rights(order) + &quoted.in_time()).await.map_err(map)?;
    }
    Ok(())
}

/// What may stand in a statement: quoted by the server, times by the server's own clock.
struct Quoted {
    name: String,
    verifier: Secret<String>,
    comment: String,
    expiry: String,
    deadline: String,
}

impl Quoted {
    async fn ask(system: &System, connection: &mut PgConnection, order: &Order<'_>) -> Result<Self, EngineError> {
        let row = sqlx::query("select quote_ident($1), quote_literal($2), quote_literal($3), clock_timestamp()")
            .bind(order.role)
            .bind(order.verifier.expose())
            .bind(&order.comment)
            .fetch_one(connection)
            .await
            .map_err(map)?;
        let clock: OffsetDateTime = row.try_get(3).map_err(map)?;
        // The server's clock was read before this moment, so what follows lies at or before the true deadline.
        let ahead = clock - system.now();
        Ok(Self {
            name: row.try_get(0).map_err(map)?,
            verifier: Secret::new(row.try_get(1).map_err(map)?),
            comment: row.try_get(2).map_err(map)?,
            expiry: literal(order.expires_at + ahead)?,
            deadline: literal(order.deadline + ahead)?,
        })
    }

    fn role(&self, order: &Order<'_>) -> String {
        let Self { name, comment, expiry, .. } = self;
        format!(
            "{LIMITS}{in_time}create role {name} login password {verifier} valid until {expiry} connection limit {limit} \
             nosuperuser nocreatedb nocreaterole noreplication nobypassrls inherit;\n\
             comment on role {name} is {comment};\n",
            in_time = self.in_time(),
            verifier = self.verifier.expose(),
            limit = order.connection_limit,
        )
    }

    /// The statements of the set, which see the search path that the administrator's sessions normally have.
    fn rights(&self, order: &Order<'_>) -> String {
        let fill = Fill { name: &self.name, expiration: &self.expiry };
        format!(
            "set local search_path to default;\n{}set local search_path to pg_catalog, pg_temp;\n",
            fill.script(&order.statements.create)
        )
    }

    /// Fails after the deadline. Asked once before the work and once when all of it is done: whoever looks for the name after
    /// the deadline then finds it, or waits for the transaction that holds it.
    fn in_time(&self) -> String {
        format!(
            "do $daypass$ begin if clock_timestamp() > {}::timestamptz then \
             raise exception 'the create deadline is over' using errcode = '{TOO_LATE}'; end if; end $daypass$;\n",
            self.deadline
        )
    }
}

pub(super) fn literal(at: OffsetDateTime) -> Result<String, EngineError> {
    let text = at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).map_err(|error| EngineError::Fault(error.into()))?;
    Ok(format!("'{text}'"))
}

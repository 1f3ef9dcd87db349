//! Typed engines behind one list.
//!
//! The policy hands parameters on as JSON; here they become the engine's own type, and a value that does not fit stops before
//! anything is touched.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use domain::secret::Secret;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::engine::{Ask, Bench, Engine, EngineError, Found, Issued, Order, Plan, Revoked};
use super::target;
use crate::store::Connection;

/// Engines by name.
#[derive(Clone, Debug, Default)]
pub struct Engines(BTreeMap<&'static str, Arc<dyn Erased>>);

impl Engines {
    /// Adds one engine under its name.
    #[must_use]
    pub fn with<E: Engine>(mut self, engine: E) -> Self {
        self.0.insert(E::NAME, Arc::new(Typed(engine)));
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// When the engine's turn comes among the credentials of one ask.
    pub fn order(&self, name: &str) -> Result<Order, EngineError> {
        Ok(self.get(name)?.order())
    }

    /// Names what will be made. Touches nothing outside.
    pub async fn plan(&self, name: &str, bench: &Bench, ask: &Ask<'_, &Value>) -> Result<Plan, EngineError> {
        self.get(name)?.plan(bench, ask).await
    }

    /// Makes what was planned.
    pub async fn issue(&self, name: &str, bench: &Bench, ask: &Ask<'_, &Value>, plan: &Plan) -> Result<Issued, EngineError> {
        self.get(name)?.issue(bench, ask, plan).await
    }

    /// Lets it last longer in its target.
    pub async fn renew(
        &self,
        name: &str,
        bench: &Bench,
        handle: &Secret<Vec<u8>>,
        until: OffsetDateTime,
    ) -> Result<(), EngineError> {
        self.get(name)?.renew(bench, handle, until).await
    }

    /// Takes it back; may be called again and again.
    pub async fn revoke(&self, name: &str, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<Revoked, EngineError> {
        self.get(name)?.revoke(bench, handle).await
    }

    /// The logins of this installation on the connection's target; `None` where its engine cannot tell.
    pub async fn list(&self, bench: &Bench, connection: &Connection) -> Result<Option<Vec<Found>>, EngineError> {
        self.get(&connection.engine)?.list(bench, &connection.name).await
    }

    /// Lets nobody in any more by a login that was found. `false`: it is gone already.
    pub async fn shut(&self, name: &str, bench: &Bench, handle: &Secret<Vec<u8>>) -> Result<bool, EngineError> {
        self.get(name)?.shut(bench, handle).await
    }

    /// Says what is wrong with a connection, as far as can be known without connecting.
    pub fn check(&self, connection: &Connection) -> Result<(), EngineError> {
        self.get(&connection.engine)?.check(connection, None)
    }

    /// Says why `role` cannot have credentials of the engine `name` by this connection.
    pub fn check_use(&self, name: &str, connection: &Connection, role: &str, params: &Value) -> Result<(), EngineError> {
        target::belongs(connection, name)?;
        target::serves(connection, role)?;
        self.get(name)?.check(connection, Some(params))
    }

    fn get(&self, name: &str) -> Result<&dyn Erased, EngineError> {
        let engine = self.0.get(name).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            EngineError::Misconfigured(format!("there is no engine `{name}`; there are {known}"))
        })?;
        Ok(engine.as_ref())
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// An engine whose parameters have no type yet.
trait Erased: Debug + Send + Sync {
    fn order(&self) -> Order;
    fn check(&self, connection: &Connection, params: Option<&Value>) -> Result<(), EngineError>;
    fn plan<'a>(&'a self, bench: &'a Bench, ask: &'a Ask<'a, &'a Value>) -> Answer<'a, Plan>;
    fn issue<'a>(&'a self, bench: &'a Bench, ask: &'a Ask<'a, &'a Value>, plan: &'a Plan) -> Answer<'a, Issued>;
    fn renew<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>, until: OffsetDateTime) -> Answer<'a, ()>;
    fn revoke<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>) -> Answer<'a, Revoked>;
    fn list<'a>(&'a self, bench: &'a Bench, connection: &'a str) -> Answer<'a, Option<Vec<Found>>>;
    fn shut<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>) -> Answer<'a, bool>;
}

#[derive(Debug)]
struct Typed<E>(E);

impl<E: Engine> Typed<E> {
    fn parse<'a>(ask: &Ask<'a, &Value>) -> Result<Ask<'a, E::Params>, EngineError> {
        Ok(ask.with(Self::params(ask.params)?))
    }

    fn params(params: &Value) -> Result<E::Params, EngineError> {
        E::Params::deserialize(params)
            .map_err(|error| EngineError::Misconfigured(format!("the parameters of engine `{}`: {error}", E::NAME)))
    }
}

impl<E: Engine> Erased for Typed<E> {
    fn order(&self) -> Order {
        E::ORDER
    }

    fn check(&self, connection: &Connection, params: Option<&Value>) -> Result<(), EngineError> {
        E::check(connection, params.map(Self::params).transpose()?.as_ref())
    }

    fn plan<'a>(&'a self, bench: &'a Bench, ask: &'a Ask<'a, &'a Value>) -> Answer<'a, Plan> {
        Box::pin(async move { self.0.plan(bench, &Self::parse(ask)?).await })
    }

    fn issue<'a>(&'a self, bench: &'a Bench, ask: &'a Ask<'a, &'a Value>, plan: &'a Plan) -> Answer<'a, Issued> {
        Box::pin(async move { self.0.issue(bench, &Self::parse(ask)?, plan).await })
    }

    fn renew<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>, until: OffsetDateTime) -> Answer<'a, ()> {
        Box::pin(self.0.renew(bench, handle, until))
    }

    fn revoke<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>) -> Answer<'a, Revoked> {
        Box::pin(self.0.revoke(bench, handle))
    }

    fn list<'a>(&'a self, bench: &'a Bench, connection: &'a str) -> Answer<'a, Option<Vec<Found>>> {
        Box::pin(self.0.list(bench, connection))
    }

    fn shut<'a>(&'a self, bench: &'a Bench, handle: &'a Secret<Vec<u8>>) -> Answer<'a, bool> {
        Box::pin(self.0.shut(bench, handle))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::claims::{Claims, Object};
    use serde_json::json;

    use super::*;
    use crate::engines::{self, Settings};
    use crate::store::{Connections, Secrets};
    use crate::system::System;

    async fn plan(name: &str, params: Value) -> Result<Plan, EngineError> {
        let (system, connections) = (System::real().0, Connections::default());
        let bench = Bench { system, deployment: "abcdef".to_owned(), connections, secrets: Secrets::default() };
        let claims = Claims::from_verified(Object::default());
        let now = bench.system.now();
        let ask = Ask {
            lease_id: uuid::Uuid::now_v7(),
            role: "shop-deploy",
            claims: &claims,
            params: &params,
            ttl: Duration::from_mins(15),
            expires_at: now + Duration::from_mins(15),
            create_deadline: now + Duration::from_secs(10),
            input: None,
        };
        engines::all(&Settings::default())?.plan(name, &bench, &ask).await
    }

    #[tokio::test]
    async fn an_unknown_engine_is_named_with_those_there_are() {
        let error = plan("postgress", json!({})).await.unwrap_err().to_string();
        assert!(error.contains("`postgress`") && error.contains("aws") && error.contains("postgres"), "{error}");
    }

    #[tokio::test]
    async fn parameters_that_do_not_fit_stop_before_anything_is_planned() {
        for params in
            [json!({}), json!({"connection": "shop"}), json!({"connection": "shop", "statements": "rw", "more": 1}), json!(7)]
        {
            let error = plan("postgres", params.clone()).await.unwrap_err();
            assert!(
                matches!(&error, EngineError::Misconfigured(text) if text.starts_with("the parameters")),
                "{params}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn typed_parameters_reach_their_engine() {
        let plan = plan("aws", json!({"role_arn": "arn:aws:iam::123456789012:role/x", "session_name": "me-1"})).await.unwrap();
        let handle: Value = serde_json::from_slice(plan.handle.expose()).unwrap();
        assert_eq!(handle["session_name"], "me-1");
    }

    #[test]
    fn irrevocable_engines_come_last() {
        let engines = engines::all(&Settings::default()).unwrap();
        assert!(engines.order("postgres").unwrap() < engines.order("aws").unwrap());
    }

    /// What the policy can name can be issued, but for operators' rights, which are no credential of a target.
    #[test]
    fn every_engine_of_the_policy_is_listed() {
        let engines = engines::all(&Settings::default()).unwrap();
        let missing: Vec<_> = domain::credentials::ENGINES
            .iter()
            .map(|engine| engine.name())
            .filter(|name| *name != "operator" && engines.order(name).is_err())
            .collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}

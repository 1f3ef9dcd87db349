//! Making the credentials of one ask: planned before the record, created after it, in an order that leaves least behind.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::lease::State;
use domain::secret::Secret;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case::Case;
use super::error::Error;
use super::rooms::Rooms;
use crate::engines::engine::{Ask, EngineError, Issued, Order, Plan};
use crate::failpoint;
use crate::store::{Activation, NewLease, StoreError};

/// A lease that is recorded but not created within this time never comes into being.
pub const CREATE_DEADLINE: Duration = Duration::from_secs(10);

/// A target's clock may be so far from ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// One credential as it is answered.
#[derive(Debug)]
pub struct Given {
    pub name: String,
    pub engine: &'static str,
    pub lease: Option<Uuid>,
    pub values: BTreeMap<String, Secret<String>>,
    pub expires_at: Option<OffsetDateTime>,
    pub ttl: Option<Duration>,
    pub ttl_limited_by: Option<&'static str>,
    pub revocable: bool,
}

/// The credentials of one ask on their way.
#[derive(Debug)]
pub struct Making {
    items: Vec<Item>,
    now: OffsetDateTime,
    deadline: OffsetDateTime,
}

#[derive(Debug)]
struct Item {
    lease: Uuid,
    name: String,
    engine: &'static str,
    order: Order,
    ttl: Duration,
    ttl_limited_by: &'static str,
    expires_at: OffsetDateTime,
    params: serde_json::Value,
    plan: Plan,
    issued: Option<Issued>,
}

impl Making {
    /// Names what will be made. What is local is made at once: it touches nothing, and a refusal then burns no token.
    pub async fn plan(rooms: &Rooms, case: &Case<'_>, inputs: &BTreeMap<String, serde_json::Value>) -> Result<Self, Error> {
        let now = case.now;
        let deadline = now + CREATE_DEADLINE;
        let mut items = Vec::new();
        for planned in &case.allowed.credentials {
            let left = Duration::try_from(case.ends_at - now).unwrap_or_default();
            let (ttl, ttl_limited_by) =
                if planned.ttl > left { (left, "session") } else { (planned.ttl, planned.ttl_limited_by) };
            let lease = rooms.system.row_id()?;
            let expires_at = now + ttl;
            let errand = Ask {
                lease_id: lease,
                role: &case.allowed.role,
                claims: &case.subject.claims,
                params: &planned.params,
                ttl,
                expires_at,
                create_deadline: deadline,
                input: inputs.get(&planned.name),
            };
            let engine = planned.engine;
            let order = rooms.engines.order(engine).map_err(|error| told(case, engine, &planned.name, error))?;
            let plan = rooms
                .engines
                .plan(engine, &rooms.bench, &errand)
                .await
                .map_err(|error| told(case, engine, &planned.name, error))?;
            let mut item = Item {
                lease,
                name: planned.name.clone(),
                engine,
                order,
                ttl,
                ttl_limited_by,
                expires_at,
                params: planned.params.clone(),
                plan,
                issued: None,
            };
            if order == Order::Local {
                let issued = rooms.engines.issue(engine, &rooms.bench, &errand, &item.plan).await;
                item.issued = Some(issued.map_err(|error| told(case, engine, &planned.name, error))?);
            }
            items.push(item);
        }
        Ok(Self { items, now, deadline })
    }

    pub fn is_purely_local(&self) -> bool {
        self.items.iter().all(|item| item.order == Order::Local)
    }

    pub fn new_leases(&self, rooms: &Rooms, case: &Case<'_>) -> Vec<NewLease> {
        let leased = self.items.iter().filter(|item| item.plan.leased);
        leased
            .map(|item| NewLease {
                id: item.lease,
                session_id: case.session,
                role: case.allowed.role.clone(),
                credential: item.name.clone(),
                engine: item.engine,
                connection: item.plan.connection.clone(),
                upstream: item.plan.upstream.clone(),
                state: if item.order == Order::Local { settled_state(item) } else { State::Pending },
                revocable: item.plan.revocable,
                handle: item.plan.handle.clone(),
                issued_at: self.now,
                expires_at: item.expires_at,
                create_deadline: self.deadline,
                max_live_of_role: case.allowed.max_leases,
                max_live_of_session: rooms.leases_per_session,
                max_live_of_connection: item
                    .plan
                    .connection
                    .as_deref()
                    .and_then(|name| rooms.bench.connections.get(name))
                    .map(|connection| connection.max_leases),
            })
            .collect()
    }

    /// Creates what is not local: what can be taken back first, what cannot last, and nothing after the deadline.
    pub async fn create(&mut self, rooms: &Rooms, case: &Case<'_>) -> Result<(), Error> {
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_by_key(|at| self.items.get(*at).map(|item| item.order));
        for at in order {
            let Some(item) = self.items.get_mut(at).filter(|item| item.issued.is_none()) else { continue };
            failpoint::pass("exchange::before_create").await?;
            let left = Duration::try_from(self.deadline - rooms.system.now()).unwrap_or_default();
            let errand = Ask {
                lease_id: item.lease,
                role: &case.allowed.role,
                claims: &case.subject.claims,
                params: &item.params,
                ttl: item.ttl,
                expires_at: item.expires_at,
                create_deadline: self.deadline,
                input: None,
            };
            let issued =
                match tokio::time::timeout(left, rooms.engines.issue(item.engine, &rooms.bench, &errand, &item.plan)).await {
                    Ok(issued) => issued,
                    Err(_) => Err(EngineError::TargetUnavailable("the create deadline has passed".to_owned())),
                };
            // Made, and the target's answer is lost.
            failpoint::pass("exchange::create_answered").await?;
            let issued = issued.map_err(|error| told(case, item.engine, &item.name, error))?;
            if let Some(native) = issued.native_expiry.filter(|_| !item.plan.revocable) {
                item.ends_with(native, self.now);
            }
            item.issued = Some(issued);
        }
        Ok(())
    }

    /// What is handed out, with the marks by which it is known again.
    pub fn activations(&self, rooms: &Rooms) -> Result<Vec<Activation>, StoreError> {
        let made = self.items.iter().filter(|item| item.plan.leased && item.order != Order::Local);
        made.map(|item| item.activation(rooms, settled_state(item))).collect()
    }

    /// Leases whose credential can be taken back.
    pub fn revocable(&self) -> Vec<Uuid> {
        self.items.iter().filter(|item| item.plan.leased && item.plan.revocable).map(|item| item.lease).collect()
    }

    /// Leases of an ask that failed whose credential may exist and can be taken back.
    pub fn unsettled(&self) -> Vec<Uuid> {
        let open = self.items.iter().filter(|item| item.plan.leased && item.order != Order::Local);
        open.filter(|item| item.plan.revocable || item.issued.is_none()).map(|item| item.lease).collect()
    }

    /// Leases of an ask that failed whose credential exists and cannot be taken back: remembered until it ends by itself.
    pub fn settled_passive(&self, rooms: &Rooms) -> Result<Vec<Activation>, StoreError> {
        let made = self
            .items
            .iter()
            .filter(|item| item.plan.leased && !item.plan.revocable && item.order != Order::Local && item.issued.is_some());
        made.map(|item| item.activation(rooms, State::Passive)).collect()
    }

    /// Names for the record, never secrets: `credential.NAME.FACT`.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for item in &self.items {
            let mut fact = |key: &str, value: String| facts.insert(format!("credential.{}.{key}", item.name), value);
            fact("engine", item.engine.to_owned());
            if item.plan.leased {
                fact("lease", item.lease.to_string());
                fact("ttl", item.ttl.as_secs().to_string());
                fact("ttl_limited_by", item.ttl_limited_by.to_owned());
            }
            for (key, value) in [("connection", &item.plan.connection), ("upstream", &item.plan.upstream)] {
                if let Some(value) = value {
                    fact(key, value.clone());
                }
            }
            for (key, value) in item.issued.iter().flat_map(|issued| &issued.facts) {
                fact(key, value.clone());
            }
        }
        facts
    }

    /// What is answered. Call it only when everything is recorded.
    pub fn finish(self, rooms: &Rooms) -> Vec<Given> {
        let mut given = Vec::new();
        for item in self.items {
            let Some(issued) = item.issued else { continue };
            rooms.metrics.issued(item.engine);
            let leased = item.plan.leased;
            given.push(Given {
                name: item.name,
                engine: item.engine,
                lease: leased.then_some(item.lease),
                values: issued.values,
                expires_at: leased.then_some(item.expires_at),
                ttl: leased.then_some(item.ttl),
                ttl_limited_by: leased.then_some(item.ttl_limited_by),
                revocable: item.plan.revocable,
            });
        }
        given
    }
}

impl Item {
    fn activation(&self, rooms: &Rooms, to: State) -> Result<Activation, StoreError> {
        // Names stand in clear elsewhere, and an address holds a password that is marked by itself.
        let plain = |name: &str| matches!(name, "username" | "host" | "database" | "url");
        let values = self.issued.iter().flat_map(|issued| &issued.values).filter(|(name, _)| !plain(name));
        let marks = rooms.store.mark(values.map(|(_, value)| value.expose().as_str()))?;
        Ok(Activation { lease_id: self.lease, to, expires_at: self.expires_at, marks })
    }

    /// The target ends the credential itself. Where that is earlier than was planned, it is the target's limit that counts.
    fn ends_with(&mut self, native: OffsetDateTime, now: OffsetDateTime) {
        if native + CLOCKS_DIFFER < self.expires_at {
            self.ttl = Duration::try_from(native - now).unwrap_or_default();
            self.ttl_limited_by = "target";
        }
        self.expires_at = native;
    }
}

fn settled_state(item: &Item) -> State {
    if item.plan.revocable { State::Active } else { State::Passive }
}

/// The engine's words go to the log, the public sentence to the caller.
fn told(case: &Case<'_>, engine: &'static str, credential: &str, error: EngineError) -> Error {
    match error {
        EngineError::Refused(refusal) => Error::Refused(refusal.hint(format!("credential {credential:?}"))),
        error => {
            tracing::warn!(decision_id = %case.decision, role = case.allowed.role, credential, engine, %error, "a credential could not be made");
            match Error::from(error) {
                Error::Refused(refusal) => Error::Refused(refusal.hint(format!("credential {credential:?}"))),
                fault @ Error::Fault(_) => fault,
            }
        }
    }
}

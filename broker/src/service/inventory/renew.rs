//! Letting a lease last longer.
//!
//! It is decided anew, from the session's claims, under the policy set of now: what the policy would not give any more is not
//! prolonged. The lease's row is moved first, with its record, then the target's own end: whatever dies in between, no login
//! outlives its row. A target that says no has the row moved back, unless another renewal has come to count on it.

use std::time::Duration;

use domain::audit::Kind;
use domain::lease::State;
use domain::policy::{self, PolicySet};
use domain::refusal::{Code, Refusal};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Inventory;
use crate::audit::log::{self, About};
use crate::engines::engine::EngineError;
use crate::failpoint;
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::service::subject::Subject;
use crate::store::leases::{Lease, Step};
use crate::store::sessions::Session;

/// How long a target may take, within the door's own deadline.
const PATIENCE: Duration = Duration::from_secs(6);

const MOVED: &str = "its end was moved or it was given back at this moment";

/// A lease with its new end.
#[derive(Debug)]
pub struct Renewed {
    pub lease: Lease,
    pub limited_by: &'static str,
}

/// What the policy says to the renewal.
struct Term {
    end: OffsetDateTime,
    limited_by: &'static str,
}

impl Inventory {
    /// For the holder of the session: one of its own leases.
    pub async fn renew_own(&self, session: &Session, id: Uuid, ttl: Option<Duration>, decision: Uuid) -> Result<Renewed, Error> {
        let lease = self.rooms.store.lease(id).await?.filter(|lease| lease.session_id == session.id);
        self.renew(session, lease.ok_or(Code::LeaseUnknown)?, ttl, decision, None).await
    }

    /// For operators: any lease, as long as its session may. Needs the right `leases.renew`.
    pub async fn renew_any(&self, holder: &Holder, id: &str, ttl: Option<Duration>, decision: Uuid) -> Result<Renewed, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "leases.renew", None, decision).await?;
        let id: Uuid = id.parse().map_err(|_| Code::LeaseUnknown)?;
        let lease = rooms.store.lease(id).await?.ok_or(Code::LeaseUnknown)?;
        let session = rooms.store.session(lease.session_id).await?.ok_or(Code::LeaseUnknown)?;
        self.renew(&session, lease, ttl, decision, Some(holder.session.id)).await
    }

    async fn renew(
        &self,
        session: &Session,
        lease: Lease,
        ttl: Option<Duration>,
        decision: Uuid,
        operator: Option<Uuid>,
    ) -> Result<Renewed, Error> {
        let rooms = &self.rooms;
        let set = rooms.policies.active();
        let (subject, term) = match self.term(&set, session, &lease, ttl) {
            Ok(term) => term,
            Err(refusal) => {
                let subject = Subject::of_refused(&set, &session.issuer, session.claims.clone());
                let about = subject.about(decision, Some(session.id), set.hash(), Some(&session.role), None);
                rooms.denials.record(&about, &refusal).await;
                return Err(refusal.into());
            }
        };
        if term.end <= lease.expires_at {
            // Nothing to move; but the target may not have followed, if a process died on the way there or is on it. From here on
            // that one cannot take the end back any more.
            if !rooms.store.count_on_lease_end(lease.id, lease.expires_at, decision).await? {
                return Err(not_renewable(MOVED).into());
            }
            self.prolong(&lease, lease.expires_at).await?;
            return Ok(Renewed { lease, limited_by: term.limited_by });
        }
        failpoint::pass("renew::before_record").await?;
        let about = subject.about(decision, Some(session.id), set.hash(), Some(&session.role), None);
        let record = |kind, end| -> Result<_, Error> { self.told(kind, &about, &lease, end, operator) };
        let renewed = record(Kind::LeaseRenewed, term.end)?;
        let step = Step { lease: lease.id, renewal: decision, from: lease.expires_at, to: term.end };
        if !rooms.store.move_lease_end(&step, &renewed).await? {
            return Err(not_renewable(MOVED).into());
        }
        failpoint::pass("renew::after_record").await?;
        if let Err(error) = self.prolong(&lease, term.end).await {
            let back = record(Kind::LeaseNotRenewed, lease.expires_at)?;
            // Where another renewal was told of this end, it stands. Were this not written, the row would last longer than its
            // login: the worker takes it back then.
            rooms.store.move_lease_end_back(&step, &back).await?;
            rooms.leases.wake();
            return Err(error);
        }
        failpoint::pass("renew::after_prolong").await?;
        let lease = rooms.store.lease(lease.id).await?.ok_or(Code::LeaseUnknown)?;
        Ok(Renewed { lease, limited_by: term.limited_by })
    }

    /// Has the target end it no earlier than at `end`.
    async fn prolong(&self, lease: &Lease, end: OffsetDateTime) -> Result<(), Error> {
        let rooms = &self.rooms;
        let Some(handle) = rooms.store.lease_handle(lease.id).await? else { return Err(not_renewable("it has ended").into()) };
        let prolonged = tokio::time::timeout(PATIENCE, rooms.engines.renew(&lease.engine, &rooms.bench, &handle, end)).await;
        let prolonged = prolonged.unwrap_or_else(|_| Err(EngineError::TargetUnavailable("it did not answer in time".to_owned())));
        prolonged.map_err(|error| {
            tracing::warn!(lease = %lease.id, engine = lease.engine, %error, "a lease could not be renewed in its target");
            error.into()
        })
    }

    /// Until when the lease may last: what the policy of now gives from now on, within what the engine allows since its issue.
    fn term(&self, set: &PolicySet, session: &Session, lease: &Lease, ttl: Option<Duration>) -> Result<(Subject, Term), Refusal> {
        let now = self.rooms.system.now();
        if !session.is_open(now) {
            return Err(not_renewable("its session has ended"));
        }
        if lease.state == State::Passive || !lease.revocable {
            return Err(not_renewable("it ends by its own clock, which nobody can move"));
        }
        if lease.state != State::Active || lease.expires_at <= now {
            return Err(not_renewable(&format!(
                "it is {}",
                if lease.state == State::Active { "past its end" } else { lease.state.as_str() }
            )));
        }
        let subject = Subject::of_session(set, session)?;
        let credentials = [lease.credential.clone()];
        let ask = policy::Ask {
            issuer: &subject.issuer,
            claims: &subject.claims,
            role: Some(&session.role),
            credentials: &credentials,
            ttl,
            now: now.unix_timestamp(),
        };
        self.rooms.limiter.admit(&subject)?;
        let allowed = policy::decide_in_session(set, &ask, session.ends_at.unix_timestamp())?;
        if allowed.shadow {
            return Err(Refusal::new(Code::RoleNotAllowed).hint(policy::SHADOW));
        }
        self.rooms.stops.check(&subject, &allowed)?;
        let planned = allowed.credentials.first().filter(|planned| planned.engine == lease.engine);
        let planned = planned.ok_or_else(|| not_renewable("its role has another credential of that name now"))?;
        let mut term = Term { end: now + planned.ttl, limited_by: planned.ttl_limited_by };
        if session.ends_at < term.end {
            term = Term { end: session.ends_at, limited_by: "session" };
        }
        let engine = domain::credentials::ENGINES.iter().find(|engine| engine.name() == lease.engine);
        let ceiling = engine.and_then(|engine| engine.bounds().ceiling).map(|ceiling| lease.issued_at + ceiling);
        if let Some(end) = ceiling.filter(|end| *end < term.end) {
            term = Term { end, limited_by: "engine" };
        }
        Ok((subject, term))
    }

    fn told(
        &self,
        kind: Kind,
        about: &About<'_>,
        lease: &Lease,
        end: OffsetDateTime,
        operator: Option<Uuid>,
    ) -> Result<domain::audit::Record, Error> {
        let record = log::happened(&self.rooms.system, kind, about.decision, lease.session_id, Some(lease.id), &lease.role)?;
        let record = record.field("engine", lease.engine.as_str()).field("ends_at", end.unix_timestamp());
        Ok(match operator {
            Some(operator) => record.field("operator_session", operator.to_string().as_str()),
            None => record,
        })
    }
}

fn not_renewable(why: &str) -> Refusal {
    Refusal::new(Code::LeaseNotRenewable).hint(why)
}

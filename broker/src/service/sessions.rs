//! Who a session token is, and what its session may do as an operator.

use std::sync::Arc;

use domain::audit::Kind;
use domain::credentials::{kv, operator};
use domain::policy::{self, PolicySet};
use domain::refusal::{Code, Refusal};
use uuid::Uuid;

use super::bearer;
use super::error::Error;
use super::operators;
use super::rooms::Rooms;
use super::subject::Subject;
use crate::audit::log::{self, About};
use crate::store::leases::Lease;
use crate::store::sessions::Session;

/// A session whose token was shown and that has not ended.
#[derive(Clone, Debug)]
pub struct Holder {
    pub session: Session,
    pub subject: Subject,
    /// The operator rights that the policy set of now gives it.
    pub rights: Vec<String>,
    /// The stored secrets that its role's kv credentials reach, and what may be done with them.
    pub reach: Vec<kv::Params>,
}

impl Holder {
    /// The session's claims without those that name a person.
    pub fn public_claims(&self) -> serde_json::Value {
        let clear = |name: &str| self.subject.kind.as_ref().is_some_and(|kind| kind.is_public(name));
        let members = self.subject.claims.object().iter().filter(|(name, _)| clear(name));
        members
            .map(|(name, value)| (name.to_owned(), serde_json::to_value(value).unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Refuses unless the session holds `right`, for `object` where the right speaks of one. A refusal is remembered.
    pub async fn require(&self, rooms: &Rooms, right: &str, object: Option<&str>, decision: Uuid) -> Result<(), Error> {
        if operator::allows(&self.rights, right, object) {
            return Ok(());
        }
        let wanted = object.map_or_else(|| right.to_owned(), |object| format!("{right}:{object}"));
        let refusal = Refusal::new(Code::RightMissing).hint(format!("the right {wanted} is needed"));
        let policy = rooms.policies.active().hash();
        rooms.denials.record_as(Kind::OperatorDenied, &self.about(decision, policy), &refusal).await;
        Err(refusal.into())
    }

    /// What a record about this session's act says.
    pub fn about(&self, decision: Uuid, policy: [u8; 32]) -> About<'_> {
        self.subject.about(decision, Some(self.session.id), policy, Some(&self.session.role), None)
    }
}

/// Looks sessions up and ends them.
#[derive(Clone, Debug)]
pub struct Sessions {
    rooms: Arc<Rooms>,
}

impl Sessions {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// The session of a token, as long as it has not ended. What it may still do is for the policy set to say: releasing
    /// what it has, always.
    pub async fn authenticate(&self, token: &str) -> Result<Session, Error> {
        let shown = bearer::shown(token).ok_or(Code::SessionUnknown)?;
        let session = self.rooms.store.session_by_token(shown.session, &shown.hash).await?.ok_or(Code::SessionUnknown)?;
        if !session.is_open(self.rooms.system.now()) {
            return Err(Code::SessionUnknown.into());
        }
        self.rooms.stops.fresh().await?;
        Ok(session)
    }

    /// The session with its subject and the rights of now. A role that the policy set has taken away takes them with it.
    pub async fn holder(&self, token: &str, decision: Uuid) -> Result<Holder, Error> {
        let session = self.authenticate(token).await?;
        let set = self.rooms.policies.active();
        let (subject, rights, reach) = match self.held(&set, &session) {
            Ok(held) => held,
            Err(refusal) => {
                let subject = Subject::of_refused(&set, &session.issuer, session.claims.clone());
                let about = subject.about(decision, Some(session.id), set.hash(), Some(&session.role), None);
                self.rooms.denials.record(&about, &refusal).await;
                return Err(refusal.into());
            }
        };
        Ok(Holder { session, subject, rights, reach })
    }

    fn held(&self, set: &PolicySet, session: &Session) -> Result<(Subject, Vec<String>, Vec<kv::Params>), Refusal> {
        self.rooms.stops.session(session.id, &session.issuer, &session.role)?;
        if session.issuer == operators::BOOTSTRAP {
            return Ok((Subject::nobody(operators::BOOTSTRAP), operators::rights_of_role(set, &session.role), Vec::new()));
        }
        let subject = Subject::of_session(set, session)?;
        let now = self.rooms.system.now().unix_timestamp();
        let role = Some(session.role.as_str());
        let ask = policy::Ask { issuer: &subject.issuer, claims: &subject.claims, role, credentials: &[], ttl: None, now };
        let allowed = policy::decide_role(set, &ask)?;
        if allowed.shadow {
            return Err(Code::RoleNotAllowed.into());
        }
        // Paths are templates: what the session reaches is filled from its own claims. One that these claims cannot fill
        // reaches nothing and stands in the way of nothing else.
        let stored = set.role(&session.role).map(|role| role.credentials.iter().filter(|held| held.engine.name() == kv::NAME));
        let names: Vec<String> = stored.into_iter().flatten().map(|credential| credential.name.clone()).collect();
        let filled = names.chunks(1).filter_map(|credentials| policy::decide(set, &policy::Ask { credentials, ..ask }).ok());
        let params = filled.flat_map(|allowed| allowed.credentials).map(|planned| serde_json::from_value(planned.params));
        let reach = params.filter_map(Result::ok).collect();
        Ok((subject, allowed.rights, reach))
    }

    /// Ends the session: its token is worth nothing from now on, and its leases are taken back.
    pub async fn end(&self, session: &Session, decision: Uuid) -> Result<Vec<Lease>, Error> {
        let rooms = &self.rooms;
        let record = log::happened(&rooms.system, Kind::SessionEnded, decision, session.id, None, &session.role)?;
        rooms.store.end_session(session.id, rooms.system.now(), &[record]).await?;
        rooms.leases.wait_for_session(session.id).await
    }
}

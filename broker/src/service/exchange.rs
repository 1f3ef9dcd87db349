//! The story of one exchange, top to bottom: verify, decide, plan, record, create, activate, answer.
//!
//! Every door makes an [`Ask`] and gets a [`Granted`] or an [`Error`]. Nothing outside is made before it is recorded; nothing
//! is answered before it is recorded as granted. What fails in between is taken back by the sweep, whoever dies when.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::audit::Kind;
use domain::policy::{self, Allowed, PolicySet};
use domain::refusal::{Code, Refusal};
use time::OffsetDateTime;

pub use super::ask::{Ask, Further, Granted};
use super::ask::{Wish, named_plainly};
use super::bearer;
use super::case::{Case, Opening};
use super::error::{self, Error, Fault};
use super::making::{Given, Making};
use super::policies::shadow;
use super::rooms::Rooms;
use super::subject::Subject;
use crate::audit::log::{self, About};
use crate::audit::shadowed::Shadowed;
use crate::failpoint;
use crate::oidc::{Refused, Verified};
use crate::store::sessions::Session;
use crate::store::{Record, TokenUse, WriteError};

mod again;
mod repeat;

use repeat::Repeat;

/// Seconds that a token's use is remembered beyond its expiry and twice the leeway.
const USE_MARGIN: i64 = 30;
/// How often an ask is written: as it is, in place of its first attempt, and once more if that is gone by then.
const ROUNDS: usize = 3;

/// Exchanges tokens for credentials.
#[derive(Clone, Debug)]
pub struct Exchange {
    rooms: Arc<Rooms>,
}

impl Exchange {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// A CI token in, credentials and a session out. All or none.
    pub async fn exchange(&self, ask: Ask) -> Result<Granted, Error> {
        let rooms = &self.rooms;
        named_plainly(ask.role.iter().chain(&ask.credentials))?;
        let set = rooms.policies.active();
        let verified = self.verify(&set, &ask).await?;
        let subject = Subject::of_token(&set, &verified)?;
        let wish = Wish {
            session: None,
            role: ask.role.as_deref(),
            credentials: (!ask.session_only).then_some(ask.credentials.as_slice()),
            ttl: ask.ttl,
            decision: ask.decision,
        };
        let (allowed, shadow) = self.decide(&set, &subject, &wish).await?;

        let session = ask.decision;
        let token = bearer::new_token(&rooms.system, session)?;
        let now = rooms.system.now();
        let ends_at = now + allowed.session_ttl;
        let case = Case {
            decision: ask.decision,
            opens: true,
            set: &set,
            subject: &subject,
            asked: wish.asked(),
            allowed: &allowed,
            shadow: shadow.as_ref(),
            session,
            now,
            ends_at,
        };
        let key = ask.idempotency.as_deref().map(|key| bearer::sha256(key.as_bytes()));
        let token_use = TokenUse {
            issuer: subject.issuer_url.clone(),
            token_hash: verified.token_id,
            uses: allowed.token_uses,
            idempotency: key,
            session_id: session,
            keep_until: self.use_ends(&verified),
            replaces: None,
        };
        let opening = case.opening(bearer::sha256(token.expose().as_bytes()), key, token_use);
        let credentials = self.carry_out(&case, Some(opening), &BTreeMap::new()).await?;
        Ok(Granted {
            decision: ask.decision,
            role: allowed.role,
            session,
            session_token: Some(token),
            session_ends: ends_at,
            credentials,
        })
    }

    /// More credentials for a session: decided again from its stored claims, under the policy set of now.
    pub async fn further(&self, session: &Session, ask: Further) -> Result<Granted, Error> {
        named_plainly(&ask.credentials)?;
        let set = self.rooms.policies.active();
        let subject = match Subject::of_session(&set, session) {
            Ok(subject) => subject,
            Err(refusal) => {
                let subject = Subject::of_refused(&set, &session.issuer, session.claims.clone());
                let about = subject.about(ask.decision, Some(session.id), set.hash(), Some(&session.role), None);
                self.rooms.denials.record(&about, &refusal).await;
                return Err(refusal.into());
            }
        };
        let wish = Wish {
            session: Some(session),
            role: Some(&session.role),
            credentials: Some(&ask.credentials),
            ttl: ask.ttl,
            decision: ask.decision,
        };
        let (allowed, shadow) = self.decide(&set, &subject, &wish).await?;
        let case = Case {
            decision: ask.decision,
            opens: false,
            set: &set,
            subject: &subject,
            asked: wish.asked(),
            allowed: &allowed,
            shadow: shadow.as_ref(),
            session: session.id,
            now: self.rooms.system.now(),
            ends_at: session.ends_at,
        };
        let credentials = self.carry_out(&case, None, &ask.inputs).await?;
        Ok(Granted {
            decision: ask.decision,
            role: allowed.role,
            session: session.id,
            session_token: None,
            session_ends: session.ends_at,
            credentials,
        })
    }

    /// An ask that ended in a defect of ours. What it left behind is what a death at that step leaves.
    pub fn panicked(&self, panic: String) -> Error {
        tracing::error!(panic, "an exchange panicked; this is a defect");
        self.rooms.metrics.alarm("request_panicked");
        Fault::new(panic).into()
    }

    /// Until when a use must be remembered: as long as the token could be accepted anywhere, and a margin.
    fn use_ends(&self, verified: &Verified) -> OffsetDateTime {
        let seconds = verified.expires_at.saturating_add(2 * self.rooms.verifier.leeway()).saturating_add(USE_MARGIN);
        // The verifier bounds the expiry to what a calendar holds; were it not so, two days cover every token that it accepts.
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or_else(|_| self.rooms.system.now() + time::Duration::days(2))
    }

    async fn verify(&self, set: &PolicySet, ask: &Ask) -> Result<Verified, Error> {
        let rooms = &self.rooms;
        match rooms.verifier.verify(set, ask.token.expose()).await {
            Ok(verified) => Ok(verified),
            // Nobody knows whose it is: counted, and nothing it says is believed.
            Err(Refused { refusal, signed: None, .. }) => {
                rooms.denials.unverified(&refusal);
                Err(refusal.into())
            }
            Err(Refused { refusal, issuer, signed: Some(claims) }) => {
                let subject = Subject::of_refused(set, &issuer.unwrap_or_default(), *claims);
                rooms.denials.record(&subject.about(ask.decision, None, set.hash(), ask.role.as_deref(), None), &refusal).await;
                Err(refusal.into())
            }
        }
    }

    /// Rate, then switches, then policy, then stops. A refusal of any is remembered. A set that looks on is asked the same.
    async fn decide(&self, set: &PolicySet, subject: &Subject, wish: &Wish<'_>) -> Result<(Allowed, Option<Shadowed>), Error> {
        let Wish { session, role, credentials, ttl, decision } = *wish;
        let now = self.rooms.system.now().unix_timestamp();
        let ask = policy::Ask {
            issuer: &subject.issuer,
            claims: &subject.claims,
            role,
            credentials: credentials.unwrap_or_default(),
            ttl,
            now,
        };
        let judge = |set: &PolicySet, ask: &policy::Ask<'_>| match (credentials, session) {
            (None, _) => policy::decide_role(set, ask),
            (Some(_), None) => policy::decide(set, ask),
            (Some(_), Some(session)) => policy::decide_in_session(set, ask, session.ends_at.unix_timestamp()),
        };
        let admitted = self.rooms.limiter.admit(subject).and_then(|()| self.rooms.stops.issuer(&subject.issuer));
        let looks_on = admitted.is_ok().then(|| self.rooms.policies.shadow()).flatten();
        let decided = admitted.and_then(|()| judge(set, &ask));
        let shadow = looks_on.and_then(|other| shadow::compare(&other, &subject.issuer_url, &ask, &decided, judge));
        if shadow.is_some() {
            self.rooms.metrics.shadow_differs();
        }
        let session = session.map(|session| session.id);
        // Only what is about to be given needs the stops of now: whoever is refused is told so while the database is away, too.
        if decided.as_ref().is_ok_and(|allowed| !allowed.shadow) {
            self.rooms.stops.fresh().await?;
        }
        let (refusal, role, row) = match decided {
            // A role that is only rehearsed: what it would have allowed is remembered, nothing is handed out.
            Ok(allowed) if allowed.shadow => {
                let refusal = Refusal::new(Code::RoleNotAllowed).hint(policy::SHADOW);
                (refusal, Some(allowed.role), Some(allowed.row))
            }
            Ok(allowed) => match self.rooms.stops.check(subject, &allowed) {
                Ok(()) => return Ok((allowed, shadow)),
                Err(refusal) => (refusal, Some(allowed.role), Some(allowed.row)),
            },
            Err(refusal) => (refusal, role.map(str::to_owned), None),
        };
        let about = About {
            asked: wish.asked(),
            shadow: shadow.as_ref(),
            ..subject.about(decision, session, set.hash(), role.as_deref(), row)
        };
        self.rooms.denials.record(&about, &refusal).await;
        Err(refusal.into())
    }

    /// Plan, record, create, activate. What it returns may be answered.
    async fn carry_out(
        &self,
        case: &Case<'_>,
        opening: Option<Opening>,
        inputs: &BTreeMap<String, serde_json::Value>,
    ) -> Result<Vec<Given>, Error> {
        let rooms = &self.rooms;
        let mut making = match Making::plan(rooms, case, inputs).await {
            Ok(making) => making,
            Err(Error::Refused(refusal)) => {
                rooms.denials.record(&case.refused(), &refusal).await;
                return Err(refusal.into());
            }
            Err(fault) => return Err(fault),
        };
        failpoint::pass("exchange::before_record").await?;
        self.record(case, opening, &mut making).await?;
        failpoint::pass("exchange::after_record").await?;
        if making.is_purely_local() {
            rooms.count(Ok(()));
            return Ok(making.finish(rooms));
        }
        let made = async {
            making.create(rooms, case).await?;
            failpoint::pass("exchange::after_create").await?;
            self.still_allowed(case).map_err(Error::from)
        };
        if let Err(error) = made.await {
            self.abandon(case, &making, &error).await;
            rooms.count(Err(&error.public()));
            return Err(error);
        }
        let granted =
            log::decided(&rooms.system, case.word(Kind::ExchangeGranted, Kind::SessionGranted), &case.about(), &making.facts())?;
        let record = Record { activate: making.activations(rooms)?, audit: vec![granted], ..Record::default() };
        let _written = rooms.store.write(record).await.map_err(|error| {
            // Either the sweep was faster, and cleans up. Or it may have been written all the same, and then no sweep comes
            // before the lease's end.
            if !matches!(error, WriteError::Moved) {
                rooms.leases.give_up(making.revocable());
            }
            let error = Error::from_write(error);
            rooms.count(Err(&error.public()));
            error
        })?;
        failpoint::pass("exchange::after_activate").await?;
        rooms.count(Ok(()));
        Ok(making.finish(rooms))
    }

    /// The first transaction: the token's use, the session, the leases and what was asked.
    async fn record(&self, case: &Case<'_>, opening: Option<Opening>, making: &mut Making) -> Result<(), Error> {
        let rooms = &self.rooms;
        let (session, mut token_use) = opening.map_or((None, None), |opening| (Some(opening.session), Some(opening.token_use)));
        let word = if making.is_purely_local() {
            case.word(Kind::ExchangeGranted, Kind::SessionGranted)
        } else {
            case.word(Kind::ExchangeAsked, Kind::SessionAsked)
        };
        let key = session.as_ref().and_then(|session| session.idempotency);
        for _ in 0..ROUNDS {
            let remark = log::decided(&rooms.system, word, &case.about(), &making.facts())?;
            let record = Record {
                token_use: token_use.clone(),
                session: session.clone(),
                of_session: (!case.opens).then_some(case.session),
                leases: making.new_leases(rooms, case),
                audit: vec![remark],
                ..Record::default()
            };
            let refusal = match rooms.store.write(record).await {
                Ok(_) => return Ok(()),
                Err(WriteError::TokenAlreadyUsed { session }) => {
                    let repeat = match session {
                        Some(first) => self.repeat(case.decision, first, key).await?,
                        // What came to nothing has been given back in the meantime.
                        None => Repeat::Anew,
                    };
                    let replaces = match repeat {
                        Repeat::Anew => None,
                        Repeat::Over(first) => Some(first),
                        Repeat::Refuse(refusal) => {
                            rooms.denials.record(&case.refused(), &refusal).await;
                            return Err(refusal.into());
                        }
                    };
                    if let Some(token_use) = &mut token_use {
                        token_use.replaces = replaces;
                    }
                    continue;
                }
                Err(WriteError::Quota(quota)) => error::crowded(quota),
                Err(WriteError::JobEnded) => Code::JobEnded.into(),
                Err(error) => return Err(Error::from_write(error)),
            };
            rooms.denials.record(&case.refused(), &refusal).await;
            return Err(refusal.into());
        }
        let refusal = Refusal::new(Code::InProgress).retry_after(2);
        rooms.denials.record(&case.refused(), &refusal).await;
        Err(refusal.into())
    }

    /// Takes back what was made of an ask that failed half-way. If even that cannot be written, the sweep finds it.
    async fn abandon(&self, case: &Case<'_>, making: &Making, error: &Error) {
        let rooms = &self.rooms;
        let code = error.public().code;
        let outcome = async {
            let word = case.word(Kind::ExchangeFailed, Kind::SessionFailed);
            let remark = log::refused(&rooms.system, word, &case.about(), code, &making.facts())?;
            let record = Record { activate: making.settled_passive(rooms)?, audit: vec![remark], ..Record::default() };
            let _settled = rooms.store.write(record).await.map_err(Error::from_write)?;
            let mut tx = rooms.store.begin().await?;
            tx.begin_release(&making.unsettled(), rooms.system.now()).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        };
        if let Err(Error::Fault(fault)) = outcome.await {
            tracing::warn!(decision_id = %case.decision, error = fault.chain(), "what was made is left to the sweep");
        }
        rooms.leases.wake();
    }
}

//! Issuers and roles that operators switch off by name, whatever the policy set says. They are stops with words of their own
//! that end nothing: what is out stays out until its end, and nothing new is given.

use std::sync::Arc;

use domain::audit::Kind;
use domain::policy::PolicySet;
use domain::refusal::{Code, Refusal};
use domain::wire::{Disabled, IssuerState, RoleState, SwitchList, SwitchRequest};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::log;
use crate::store::stops::Stop;

/// The longest reason.
const LONGEST: usize = 1024;

/// The verbs of operators on switches.
#[derive(Clone, Debug)]
pub struct Switches {
    rooms: Arc<Rooms>,
}

/// What is switched.
#[derive(Clone, Copy)]
enum What<'a> {
    Issuer(&'a str),
    Role(&'a str),
}

impl<'a> What<'a> {
    fn of(request: &'a SwitchRequest) -> Result<Self, Refusal> {
        match (request.issuer.as_deref(), request.role.as_deref()) {
            (Some(name), None) => Ok(Self::Issuer(name)),
            (None, Some(name)) => Ok(Self::Role(name)),
            _ => Err(Refusal::new(Code::RequestMalformed).hint("name one issuer or one role")),
        }
    }

    const fn issuer(self) -> Option<&'a str> {
        if let Self::Issuer(name) = self { Some(name) } else { None }
    }

    const fn role(self) -> Option<&'a str> {
        if let Self::Role(name) = self { Some(name) } else { None }
    }

    const fn word(self, disabled: bool) -> Kind {
        match (self, disabled) {
            (Self::Issuer(_), true) => Kind::IssuerDisabled,
            (Self::Issuer(_), false) => Kind::IssuerEnabled,
            (Self::Role(_), true) => Kind::RoleDisabled,
            (Self::Role(_), false) => Kind::RoleEnabled,
        }
    }

    fn is_of(self, set: &PolicySet) -> bool {
        match self {
            Self::Issuer(name) => set.issuer(name).is_some(),
            Self::Role(name) => set.role(name).is_some(),
        }
    }

    fn is_own(self, holder: &Holder) -> bool {
        self.issuer() == Some(&holder.session.issuer) || self.role() == Some(&holder.session.role)
    }
}

impl Switches {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Every issuer and role with what is switched off. Needs the right `policy.read`.
    pub async fn list(&self, holder: &Holder, decision: Uuid) -> Result<SwitchList, Error> {
        holder.require(&self.rooms, "policy.read", None, decision).await?;
        self.rooms.stops.follow().await?;
        Ok(self.states())
    }

    /// Switches off or on. Twice is as good as once. Needs the right `exchanges.stop`.
    pub async fn set(&self, holder: &Holder, request: &SwitchRequest, decision: Uuid) -> Result<SwitchList, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "exchanges.stop", None, decision).await?;
        let what = What::of(request)?;
        let unsaid = request.disabled && request.reason.trim().is_empty();
        if unsaid || request.reason.len() > LONGEST || request.reason.contains(char::is_control) {
            let hint = format!("reason: 1 to {LONGEST} bytes without control characters");
            return Err(Refusal::new(Code::RequestMalformed).hint(hint).into());
        }
        rooms.stops.follow().await?;
        let held = rooms.stops.switch(what.issuer(), what.role());
        let set = rooms.policies.active();
        if held.is_none() && !what.is_of(&set) {
            let hint = "the active policy set has no issuer or role of this name";
            return Err(Refusal::new(Code::NotFound).hint(hint).into());
        }
        if request.disabled && !request.lock_out && what.is_own(holder) {
            let hint = "you came in by what you are about to switch off, and could not switch it on again after this session";
            return Err(Refusal::new(Code::LockedOut).hint(hint).into());
        }
        let object = what.issuer().or(what.role()).unwrap_or_default();
        let record = log::act(&rooms.system, what.word(request.disabled), &holder.about(decision, set.hash()), object)?;
        let record = if request.reason.is_empty() { record } else { record.field("reason", request.reason.as_str()) };
        match (request.disabled, held) {
            (true, None) => {
                rooms.store.stop(&self.stop(what, holder, request, decision), &record).await?;
            }
            (false, Some(stop)) => {
                rooms.store.lift_stop(stop.id, rooms.system.now(), &record).await?;
            }
            (true, Some(_)) | (false, None) => {}
        }
        rooms.stops.follow().await?;
        Ok(self.states())
    }

    fn stop(&self, what: What<'_>, holder: &Holder, request: &SwitchRequest, id: Uuid) -> Stop {
        Stop {
            id,
            repository: None,
            run: None,
            role: what.role().map(str::to_owned),
            issuer: what.issuer().map(str::to_owned),
            engine: None,
            issued_before: None,
            reason: request.reason.clone(),
            spared: Some(holder.session.id),
            switch: true,
            created_at: self.rooms.system.now(),
        }
    }

    fn states(&self) -> SwitchList {
        let (set, stops) = (self.rooms.policies.active(), &self.rooms.stops);
        let issuers = set.issuers().iter().map(|issuer| IssuerState {
            name: issuer.name.clone(),
            kind: issuer.kind.name().to_owned(),
            url: issuer.url.clone(),
            enabled: issuer.enabled,
            disabled: stops.switch(Some(&issuer.name), None).map(disabled),
        });
        let roles = set.roles().iter().map(|role| {
            let mut issuers: Vec<String> = role.rows.iter().map(|row| row.issuer.clone()).collect();
            issuers.sort();
            issuers.dedup();
            let disabled = stops.switch(None, Some(&role.name)).map(disabled);
            RoleState { name: role.name.clone(), issuers, shadow: role.shadow, disabled }
        });
        // What is off stays off when the set comes to have it again.
        let off = stops.active();
        let gone = off.iter().filter(|stop| stop.switch);
        let gone_issuers = gone.clone().filter_map(|stop| Some((stop.issuer.as_ref()?, stop)));
        let gone_issuers = gone_issuers.filter(|(name, _)| set.issuer(name).is_none()).map(|(name, stop)| IssuerState {
            name: name.clone(),
            kind: String::new(),
            url: String::new(),
            enabled: false,
            disabled: Some(disabled(stop.clone())),
        });
        let gone_roles = gone.filter_map(|stop| Some((stop.role.as_ref()?, stop)));
        let gone_roles = gone_roles.filter(|(name, _)| set.role(name).is_none()).map(|(name, stop)| RoleState {
            name: name.clone(),
            issuers: Vec::new(),
            shadow: false,
            disabled: Some(disabled(stop.clone())),
        });
        SwitchList { issuers: issuers.chain(gone_issuers).collect(), roles: roles.chain(gone_roles).collect() }
    }
}

fn disabled(stop: Stop) -> Disabled {
    Disabled { since: stop.created_at, reason: stop.reason, session_id: stop.spared.map(|id| id.to_string()) }
}

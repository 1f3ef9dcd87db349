//! Operators are jobs too: their rights come from a role of the policy set. Only for the first one of an installation
//! there is a single-use token, because somebody has to put the first secret in.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::Kind;
use domain::policy::{PolicySet, Role};
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use uuid::Uuid;

use super::bearer;
use super::error::Error;
use super::exchange::Granted;
use super::rooms::Rooms;
use crate::audit::log;
use crate::store::NewSession;

/// The issuer that stands in sessions of bootstrap tokens. No policy set can name it: it is no URL.
pub const BOOTSTRAP: &str = "daypass:bootstrap";

/// How long a bootstrap session lasts.
const SESSION: Duration = Duration::from_mins(10);

/// The rights that a role's operator credential lists; none where it has none, or where the role is only rehearsed.
pub fn rights_of_role(set: &PolicySet, role: &str) -> Vec<String> {
    set.role(role).filter(|role| !role.shadow).map(Role::rights).unwrap_or_default()
}

/// Opens sessions for first operators.
#[derive(Clone, Debug)]
pub struct Operators {
    rooms: Arc<Rooms>,
}

impl Operators {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Spends a bootstrap token: a session of ten minutes for the role it was made for, and for once.
    pub async fn bootstrap(&self, token: &Secret<String>, decision: Uuid) -> Result<Granted, Error> {
        let rooms = &self.rooms;
        // Nobody knows who it is: counted only.
        let unknown = || {
            let refusal = Refusal::from(Code::SessionUnknown);
            rooms.denials.unverified(&refusal);
            refusal
        };
        let shown = bearer::shown(token.expose()).ok_or_else(unknown)?;
        let set = rooms.policies.active();
        let now = rooms.system.now();
        let session = decision;
        let fresh = bearer::new_token(&rooms.system, session)?;
        let ends_at = now + SESSION;
        let opening = |role: &str| NewSession {
            id: session,
            token_hash: bearer::sha256(fresh.expose().as_bytes()),
            issuer: BOOTSTRAP.to_owned(),
            role: role.to_owned(),
            project: None,
            project_name: None,
            run: None,
            attempt: None,
            job: None,
            idempotency: None,
            opened_at: now,
            ends_at,
        };
        // Everything below happens together, or the token stays unspent.
        let mut tx = rooms.store.begin().await?;
        let role = tx.spend_bootstrap(&shown.hash, now).await?.ok_or_else(unknown)?;
        if rights_of_role(&set, &role).is_empty() {
            return Err(Refusal::new(Code::RoleNotAllowed)
                .hint("the role of this bootstrap token has no operator credential any more")
                .into());
        }
        let remark = log::happened(&rooms.system, Kind::OperatorBootstrapped, decision, session, None, &role)?;
        tx.open_session(&opening(&role), &remark).await?;
        tx.commit().await?;
        Ok(Granted { decision, role, session, session_token: Some(fresh), session_ends: ends_at, credentials: Vec::new() })
    }
}

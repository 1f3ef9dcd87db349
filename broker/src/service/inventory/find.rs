//! Whose is this? For a string that was found where it should not be. It is compared and forgotten: no record holds it.

use domain::audit::Kind;
use domain::secret::Secret;
use domain::wire::LeaseFilter;
use url::Url;
use uuid::Uuid;

use super::{Found, Inventory, Whose};
use crate::engines;
use crate::service::bearer;
use crate::service::error::Error;
use crate::service::sessions::Holder;
use crate::store::leases::Wanted;

/// No credential is longer.
const LONGEST: usize = 8192;
/// Owners told of.
const OWNERS: i64 = 20;

/// Whose a string is.
#[derive(Debug)]
pub struct Owner {
    pub what: &'static str,
    pub session: Whose,
    pub lease: Option<Found>,
}

impl Inventory {
    /// Everyone to whom this broker has given the string, as far as it remembers. Needs the right `leases.read`.
    pub async fn find(&self, holder: &Holder, text: &Secret<String>, decision: Uuid) -> Result<Vec<Owner>, Error> {
        let rooms = &self.rooms;
        holder.require(rooms, "leases.read", None, decision).await?;
        let mut owners = Vec::new();
        for value in candidates(text.expose()) {
            owners.extend(self.owners(value.expose()).await?);
        }
        let act = self.act(holder, Kind::LeaseFound, &LeaseFilter::default(), decision)?;
        let sessions: Vec<String> = owners.iter().map(|owner: &Owner| owner.session.id.to_string()).collect();
        self.remember(act.field("sessions", sessions.join(",").as_str())).await?;
        Ok(owners)
    }

    async fn owners(&self, value: &str) -> Result<Vec<Owner>, Error> {
        let store = &self.rooms.store;
        if let Some(shown) = bearer::shown(value) {
            let session = store.session_by_token(shown.session, &shown.hash).await?;
            return Ok(session
                .map(|session| Owner { what: "session token", session: whose(session), lease: None })
                .into_iter()
                .collect());
        }
        let mut owners = Vec::new();
        let marked = Wanted { marks: Some(store.marks_of(value)?).filter(|marks| !marks.is_empty()), ..Wanted::default() };
        let mut questions = Vec::new();
        // The lease stands in the name of its login, and no index leads from other names to anything.
        if let Some(lease) = engines::lease_of(&store.deployment_tag(), value) {
            questions
                .push(("upstream name", Wanted { lease: Some(lease), upstream: Some(value.to_owned()), ..Wanted::default() }));
        }
        if marked.marks.is_some() {
            questions.push(("credential", marked));
        }
        for (what, wanted) in questions {
            let found = store.find_leases(&wanted, None, OWNERS).await?;
            owners.extend(found.into_iter().map(|found| Owner { what, session: found.session.clone(), lease: Some(found) }));
        }
        Ok(owners)
    }
}

/// The string itself; of an address, the user and the password in it.
fn candidates(text: &str) -> Vec<Secret<String>> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
        return Vec::new();
    }
    match Url::parse(text) {
        // What user and password hold is made of characters that stand for themselves.
        Ok(url) if !url.username().is_empty() => {
            let parts = [Some(url.username()), url.password()].into_iter().flatten();
            parts.filter(|part| !part.is_empty()).map(Secret::from).collect()
        }
        _ => vec![Secret::from(text)],
    }
}

fn whose(session: crate::store::sessions::Session) -> Whose {
    Whose {
        id: session.id,
        issuer: session.issuer,
        role: session.role,
        project: session.project,
        project_name: session.project_name,
        run: session.run,
        attempt: session.attempt,
        job: session.job,
        opened_at: session.opened_at,
        ends_at: session.ends_at,
        ended_at: session.ended_at,
    }
}

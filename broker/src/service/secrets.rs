//! Stored secrets, by operators and by jobs whose role reaches them. Reading one is an act like writing one.

use std::sync::Arc;

use domain::audit::Kind;
use domain::credentials::kv;
use domain::refusal::{Code, Refusal};
use domain::secret::Secret;
use domain::wire::{SecretAnswer, SecretHistory, SecretList, SecretVersion, SecretWrite};
use uuid::Uuid;

use super::error::Error;
use super::rooms::Rooms;
use super::sessions::Holder;
use crate::audit::log;
use crate::store::secrets::{History, Put, SecretError};

/// Where a secret is: a mount and a path, both checked.
#[derive(Clone, Debug)]
pub struct At {
    pub mount: String,
    pub path: String,
}

impl At {
    pub fn new(mount: &str, path: &str) -> Result<Self, Refusal> {
        if !kv::is_path(mount) || mount.contains('/') || !kv::is_path(path) {
            return Err(Refusal::new(Code::RequestMalformed)
                .hint("a path is made of segments of letters, digits, '-', '_' and '.', with '/' between them"));
        }
        Ok(Self { mount: mount.to_owned(), path: path.to_owned() })
    }

    /// What lies below `path`, for listing; a `/` at its end changes nothing.
    pub fn below(mount: &str, path: &str) -> Result<Self, Refusal> {
        Self::new(mount, path.strip_suffix('/').unwrap_or(path))
    }

    /// The whole mount, for listing.
    pub fn mount(mount: &str) -> Result<Self, Refusal> {
        Ok(Self { path: String::new(), ..Self::new(mount, "x")? })
    }

    /// What rights speak of: the path in the default mount, `mount:path` in another.
    pub fn object(&self) -> String {
        if self.mount == kv::DEFAULT_MOUNT { self.path.clone() } else { format!("{}:{}", self.mount, self.path) }
    }

    /// What stands for everything directly below it.
    fn child(&self) -> String {
        if self.path.is_empty() { "x".to_owned() } else { format!("{}/x", self.path) }
    }
}

/// What somebody wants to do with a secret.
struct Wish<'a> {
    access: kv::Access,
    at: &'a At,
    /// It speaks of what lies directly below the path, not of the path.
    below: bool,
    version: Option<u32>,
}

impl<'a> Wish<'a> {
    const fn new(access: kv::Access, at: &'a At) -> Self {
        Self { access, at, below: false, version: None }
    }

    /// Whether a kv credential allows it. One that is pinned to a version knows no other.
    fn is_met(&self, params: &kv::Params) -> bool {
        let path = if self.below { self.at.child() } else { self.at.path.clone() };
        let pinned = params.version.zip(self.version).is_none_or(|(pin, wanted)| pin == wanted);
        params.mount == self.at.mount && pinned && kv::reaches(params, &path, self.access)
    }
}

/// The verbs on secrets: for operators by right, for jobs by what their role's kv credentials reach.
#[derive(Clone, Debug)]
pub struct Secrets {
    rooms: Arc<Rooms>,
    /// Whether operators' rights count: only at the operators' own listener.
    rights_count: bool,
}

impl Secrets {
    pub const fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms, rights_count: true }
    }

    /// The same where jobs ask: what their role reaches with a kv credential, and nothing by right.
    #[must_use]
    pub fn of_jobs(&self) -> Self {
        Self { rooms: self.rooms.clone(), rights_count: false }
    }

    /// The kv credential of the session's role that allows it; none where the operator's right does. Refuses without either.
    async fn may<'h>(&self, holder: &'h Holder, wish: &Wish<'_>, decision: Uuid) -> Result<Option<&'h kv::Params>, Error> {
        let right = match wish.access {
            kv::Access::Read => "secrets.read",
            kv::Access::List => "secrets.list",
            kv::Access::Write => "secrets.write",
        };
        // Of several, the one that binds to no version counts.
        let met = holder.reach.iter().filter(|params| wish.is_met(params)).min_by_key(|params| params.version.is_some());
        if met.is_some() {
            self.rooms.stops.check_reading(holder)?;
            return Ok(met);
        }
        if !self.rights_count {
            let refusal = Refusal::new(Code::RightMissing).hint("the role's kv credentials do not reach this here");
            let policy = self.rooms.policies.active().hash();
            self.rooms.denials.record(&holder.about(decision, policy), &refusal).await;
            return Err(refusal.into());
        }
        holder.require(&self.rooms, right, Some(&wish.at.object()), decision).await?;
        Ok(None)
    }

    /// The version asked for; without one the version that the role is pinned to, or else the newest.
    pub async fn read(&self, holder: &Holder, at: &At, version: Option<u32>, decision: Uuid) -> Result<SecretAnswer, Error> {
        let wish = Wish { version, ..Wish::new(kv::Access::Read, at) };
        let pinned = self.may(holder, &wish, decision).await?.and_then(|params| params.version);
        let found = self.rooms.store.secrets().read(&at.mount, &at.path, pinned.or(version)).await?;
        self.remember(holder, Kind::SecretRead, at, &[found.version], decision).await?;
        let data = serde_json::from_slice(found.data.expose())?;
        Ok(SecretAnswer { data, version: found.version, created_at: found.created_at })
    }

    pub async fn list(&self, holder: &Holder, at: &At, decision: Uuid) -> Result<SecretList, Error> {
        let wish = Wish { below: true, ..Wish::new(kv::Access::List, at) };
        let _by = self.may(holder, &wish, decision).await?;
        // Whole segments: what is below `shop` is not below `shopping`.
        let prefix = if at.path.is_empty() { String::new() } else { format!("{}/", at.path) };
        let paths = self.rooms.store.secrets().list(&at.mount, &prefix).await?;
        self.remember(holder, Kind::SecretListed, at, &[], decision).await?;
        Ok(SecretList { paths })
    }

    pub async fn history(&self, holder: &Holder, at: &At, decision: Uuid) -> Result<SecretHistory, Error> {
        let _by = self.may(holder, &Wish::new(kv::Access::List, at), decision).await?;
        let history = told(self.rooms.store.secrets().history(&at.mount, &at.path).await?);
        self.remember(holder, Kind::SecretListed, at, &[], decision).await?;
        Ok(history)
    }

    /// Refuses unless a version may be written there, before anything of it is read.
    pub async fn may_write(&self, holder: &Holder, at: &At, decision: Uuid) -> Result<(), Error> {
        let _by = self.may(holder, &Wish::new(kv::Access::Write, at), decision).await?;
        Ok(())
    }

    /// Writes a new version and returns its number.
    pub async fn write(&self, holder: &Holder, at: &At, wanted: SecretWrite, decision: Uuid) -> Result<u32, Error> {
        self.may_write(holder, at, decision).await?;
        if !wanted.data.is_object() {
            return Err(Refusal::new(Code::RequestMalformed).hint("data: a secret is a JSON object").into());
        }
        let nul = |text: &String| text.contains('\0');
        if wanted.metadata.iter().flatten().any(|(name, value)| nul(name) || nul(value)) {
            return Err(Refusal::new(Code::RequestMalformed).hint("metadata: a text holds a NUL").into());
        }
        let data = Secret::new(serde_json::to_vec(&wanted.data)?);
        let record = self.record(holder, Kind::SecretWritten, at, &[], decision)?;
        let (cas, metadata, now) = (wanted.cas, wanted.metadata.as_ref(), self.rooms.system.now());
        let mut tx = self.rooms.store.begin().await?;
        let version = tx.put_secret(&Put { mount: &at.mount, path: &at.path, data: &data, cas, metadata, now }).await?;
        tx.remember(&[record.field("versions", version.to_string().as_str())]).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Makes the content of `version` the newest version and returns its number.
    pub async fn roll_back(&self, holder: &Holder, at: &At, version: u32, decision: Uuid) -> Result<u32, Error> {
        self.may_write(holder, at, decision).await?;
        let record = self.record(holder, Kind::SecretRolledBack, at, &[version], decision)?;
        let mut tx = self.rooms.store.begin().await?;
        let newest = tx.rollback_secret(&at.mount, &at.path, version, self.rooms.system.now()).await?;
        tx.remember(&[record]).await?;
        tx.commit().await?;
        Ok(newest)
    }

    /// Marks versions as deleted or destroys them; none named means the newest.
    pub async fn delete(
        &self,
        holder: &Holder,
        at: &At,
        versions: &[u32],
        destroy: bool,
        decision: Uuid,
    ) -> Result<SecretHistory, Error> {
        holder.require(&self.rooms, "secrets.delete", Some(&at.object()), decision).await?;
        let kind = if destroy { Kind::SecretDestroyed } else { Kind::SecretDeleted };
        let now = self.rooms.system.now();
        let mut tx = self.rooms.store.begin().await?;
        let changed = if destroy {
            tx.destroy_secret(&at.mount, &at.path, versions, now).await?
        } else {
            tx.delete_secret(&at.mount, &at.path, versions, now).await?
        };
        tx.remember(&[self.record(holder, kind, at, &changed, decision)?]).await?;
        tx.commit().await?;
        Ok(told(self.rooms.store.secrets().history(&at.mount, &at.path).await?))
    }

    fn record(
        &self,
        holder: &Holder,
        kind: Kind,
        at: &At,
        versions: &[u32],
        decision: Uuid,
    ) -> Result<domain::audit::Record, Error> {
        let set = self.rooms.policies.active();
        let about = holder.about(decision, set.hash());
        let mut record = log::act(&self.rooms.system, kind, &about, &format!("{}/{}", at.mount, at.path))?;
        if !versions.is_empty() {
            let versions: Vec<String> = versions.iter().map(u32::to_string).collect();
            record = record.field("versions", versions.join(",").as_str());
        }
        Ok(record)
    }

    async fn remember(&self, holder: &Holder, kind: Kind, at: &At, versions: &[u32], decision: Uuid) -> Result<(), Error> {
        let record = self.record(holder, kind, at, versions, decision)?;
        self.rooms.store.remember(record).await.map_err(Error::from_write)?;
        Ok(())
    }
}

fn told(history: History) -> SecretHistory {
    let versions = history.versions.into_iter();
    let versions = versions.map(|info| SecretVersion {
        version: info.version,
        created_at: info.created_at,
        deleted_at: info.deleted_at,
        destroyed: info.destroyed,
    });
    SecretHistory { current: history.current, metadata: history.metadata, versions: versions.collect() }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Unknown => Code::SecretUnknown.into(),
            SecretError::Deleted => Code::SecretDeleted.into(),
            SecretError::Conflict { current } => {
                Refusal::new(Code::SecretConflict).hint(format!("the secret is at version {current}")).into()
            }
            SecretError::NotAnObject(place) => Refusal::new(Code::RequestMalformed).hint(format!("data: {place}")).into(),
            SecretError::TooLarge => Code::RequestTooLarge.into(),
            SecretError::Store(error) => error.into(),
        }
    }
}

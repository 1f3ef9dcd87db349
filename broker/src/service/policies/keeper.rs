//! What keeps the set that decides the newest one: it follows what operators push, or watches a folder.
//!
//! A set that cannot be used never replaces one that decides; the log, a metric and `/readyz` say that there is one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::audit::hex;
use domain::policy::{PolicySet, Problem, SourceFile};

use super::folder::{LoadError, Look, load, load_folder};
use super::{Policies, activate, doubts, from_folder};
use crate::oidc::keys::{KeyCache, Source};
use crate::service::error::{Error, Fault};
use crate::service::readiness::Readiness;
use crate::service::rooms::Rooms;
use crate::store::Store;

/// Where the set is, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The folder to watch; none where sets are pushed.
    pub folder: Option<PathBuf>,
    /// What paths inside the set count from.
    pub base: PathBuf,
}

/// Keeps the set of one replica the newest. Clones share it.
#[derive(Clone, Debug)]
pub struct Keeper {
    rooms: Arc<Rooms>,
    keys: Arc<KeyCache>,
    readiness: Readiness,
    seen: Arc<Mutex<Seen>>,
    /// Held while a set is put in place: one that was read earlier must not replace one that was read later.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    place: Place,
    /// The folder as it looked the last time, and as it looked when it was read.
    look: Option<Look>,
    taken: Option<Look>,
    /// Pushed sets that could not be used here, so that each is told of once.
    refused: Vec<[u8; 32]>,
}

impl Keeper {
    pub fn new(rooms: Arc<Rooms>, keys: Arc<KeyCache>, readiness: Readiness, place: Place) -> Self {
        let seen = Arc::new(Mutex::new(Seen { place, ..Seen::default() }));
        Self { rooms, keys, readiness, seen, turn: Arc::default() }
    }

    /// What a reload of the configuration says.
    pub fn move_to(&self, place: Place) {
        self.with(|seen| seen.place = place);
    }

    /// Looks for a newer set, wherever this broker has it from, and for one that is to look on.
    pub async fn look(&self) -> Result<(), Error> {
        if self.rooms.policies.pushed().is_none() {
            self.watch().await?;
        }
        self.follow().await
    }

    /// Takes over what operators have pushed.
    pub async fn follow(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let (policies, store) = (&self.rooms.policies, &self.rooms.store);
        let heads = store.policy_heads().await?;
        if heads.shadow != policies.shadow().map(|set| set.hash()) {
            match heads.shadow {
                None => policies.look_on(None),
                Some(hash) => {
                    let look_on = async |set| {
                        policies.look_on(Some(set));
                        Ok(())
                    };
                    self.take(&hash, look_on).await?;
                }
            }
        }
        let Some(hash) = heads.active.filter(|_| policies.pushed().is_some()) else { return Ok(()) };
        if hash == policies.active().hash() {
            self.refuse(false);
            return Ok(());
        }
        if !self.take(&hash, async |set| self.put(set).await).await? {
            self.refuse(true);
        }
        Ok(())
    }

    /// Uses a stored set, or says once why it cannot be used. Returns whether it can.
    async fn take(&self, hash: &[u8; 32], using: impl AsyncFnOnce(PolicySet) -> Result<(), Error>) -> Result<bool, Error> {
        if self.with(|seen| seen.refused.contains(hash)) {
            return Ok(false);
        }
        match stored(&self.rooms.store, hash).await? {
            Ok(set) => {
                using(set).await?;
                tracing::info!(policy = hex(hash), "a policy set that was pushed is in use");
                Ok(true)
            }
            Err(problems) => {
                self.with(|seen| seen.refused.push(*hash));
                self.tell(&format!("the pushed policy set {}", hex(hash)), &lines(&problems));
                Ok(false)
            }
        }
    }

    /// Takes a changed folder over when it has lain still for one round: whoever copies files into it may not be done.
    async fn watch(&self) -> Result<(), Error> {
        let Some(folder) = self.with(|seen| seen.place.folder.clone()) else { return Ok(()) };
        let look = match aside({
            let folder = folder.clone();
            move || Look::at(&folder)
        })
        .await?
        {
            Ok(look) => look,
            Err(error) => {
                self.unreadable(&error);
                return Ok(());
            }
        };
        let still = self.with(|seen| {
            let still = seen.look.as_ref() == Some(&look) && seen.taken.as_ref() != Some(&look);
            seen.look = Some(look.clone());
            still
        });
        if !still {
            return Ok(());
        }
        let read = aside({
            let folder = folder.clone();
            move || load_folder(&folder)
        })
        .await?;
        match read {
            Ok(set) => {
                // Not taken until it decides: what the database kept from it is tried again.
                if self.take_folder(set, &folder).await? {
                    tracing::info!(folder = %folder.display(), "the policy folder has changed; a new policy set is active");
                }
            }
            Err(error) => self.unreadable(&error),
        }
        self.with(|seen| seen.taken = Some(look));
        Ok(())
    }

    /// Begins to decide by a set from the folder. Returns whether it is another than before.
    pub async fn take_folder(&self, set: PolicySet, folder: &Path) -> Result<bool, Error> {
        let _turn = self.turn.lock().await;
        self.refuse(false);
        if set.hash() == self.rooms.policies.active().hash() {
            return Ok(false);
        }
        let sources = self.sources(&set)?;
        self.doubt(&set, &sources).await;
        let changed = self.rooms.policies.activate(set, &folder.display().to_string()).await?;
        self.keys.configure(sources);
        Ok(changed)
    }

    /// Begins to decide by a set that was pushed.
    async fn put(&self, set: PolicySet) -> Result<(), Error> {
        let sources = self.sources(&set)?;
        self.doubt(&set, &sources).await;
        self.rooms.policies.put(set);
        self.keys.configure(sources);
        self.refuse(false);
        Ok(())
    }

    /// Where the keys of the set's issuers are.
    pub fn sources(&self, set: &PolicySet) -> Result<Vec<Source>, Error> {
        let base = self.with(|seen| seen.place.base.clone());
        doubts::sources(set, &base).map_err(|error| Fault::new(error).into())
    }

    /// What some roles or issuers will not get is told and keeps the others from nothing.
    async fn doubt(&self, set: &PolicySet, sources: &[Source]) {
        let connections = &self.rooms.bench.connections;
        let mut doubts = doubts::uses(set, &self.rooms.engines, |name| connections.get(name));
        doubts.extend(doubts::files(sources).await);
        for doubt in doubts {
            tracing::warn!(doubt, "exchanges of a role or an issuer will fail");
        }
    }

    /// Says that there is a newer set that cannot be used, or that there is none any more.
    pub fn refuse(&self, refused: bool) {
        self.readiness.refuse_policy(refused);
        self.rooms.metrics.policy_refused(refused);
    }

    fn unreadable(&self, error: &LoadError) {
        let why = match error {
            LoadError::Unsound { problems, .. } => lines(problems),
            LoadError::Read { cause, .. } => cause.to_string(),
            LoadError::Empty { .. } => "it holds no .toml file".to_owned(),
        };
        // A folder that goes on being unreadable is told of once.
        if !self.readiness.has_refused_policy() || matches!(error, LoadError::Unsound { .. }) {
            self.tell(&error.to_string(), &why);
        }
        self.refuse(true);
    }

    fn tell(&self, what: &str, why: &str) {
        self.rooms.metrics.alarm("policy_refused");
        tracing::error!(set = what, why, "a policy set cannot be used; the one before goes on deciding");
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The set that operators pushed last. Where there is none yet, the folder's is taken for it, once and for every replica.
pub async fn opened(store: &Store, folder: Option<&Path>) -> Result<PolicySet, Error> {
    let hash = match store.policy_heads().await?.active {
        Some(hash) => hash,
        None => push_folder(store, folder.ok_or_else(|| Fault::new(NOTHING))?, false).await?,
    };
    let told =
        |problems: Vec<Problem>| Fault::new(format!("the policy set {} that operators pushed: {}", hex(&hash), lines(&problems)));
    Ok(stored(store, &hash).await?.map_err(told)?)
}

/// Puts the folder's set in place of whatever was pushed, for those who hold the broker's own machine: when no operator can do
/// it any more, or when a newer broker does not take the pushed set.
pub async fn adopt(store: &Store, folder: &Path) -> Result<[u8; 32], Error> {
    push_folder(store, folder, true).await
}

const NOTHING: &str = "[policy] source = \"database\", and the database has no policy set yet: name a folder to begin with as `path`, \
                       which is read this once";

/// Takes the folder's set for one that was pushed. Where it is to be the first one, another replica may be faster.
async fn push_folder(store: &Store, folder: &Path, over: bool) -> Result<[u8; 32], Error> {
    let set = load_folder(folder).map_err(|error| match error {
        LoadError::Unsound { problems, path } => Fault::new(format!("{}: {}", path.display(), lines(&problems))),
        error => Fault::new(error),
    })?;
    let (mut activated, record) = from_folder(store, &set, &folder.display().to_string())?;
    let mut tx = store.begin().await?;
    tx.policy_turn().await?;
    let (pushed, at) = tx.pushed_policy(activated.at).await?;
    if let Some(pushed) = pushed.filter(|_| !over) {
        return Ok(pushed);
    }
    (activated.pushed, activated.at) = (true, at);
    activate(&mut tx, &set, &activated, record).await?;
    tx.commit().await?;
    Ok(set.hash())
}

/// A stored set, checked as if it had just come: what an older broker took may not be sound any more.
pub(super) async fn stored(store: &Store, hash: &[u8; 32]) -> Result<Result<PolicySet, Vec<Problem>>, Error> {
    let files = store.policy_files(hash).await?.ok_or_else(|| Fault::new("the active policy set is not stored"))?;
    let files = files.into_iter().map(|(path, text)| SourceFile { path, text }).collect();
    aside(move || load(files)).await
}

/// Reading and checking a set takes longer than others should wait.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(Fault::new)?)
}

pub(super) fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Policies {
    /// `folder` or `database`.
    pub const fn source(&self) -> &'static str {
        if self.pushed.is_some() { "database" } else { "folder" }
    }
}

//! The active policy set: loaded whole, checked whole, stored whole, put in place whole or not at all.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use domain::audit::{Kind, Record};
use domain::policy::PolicySet;
use serde::Deserialize;

use super::error::Error;
use crate::audit::log;
use crate::store::policies::{Activated, Files};
use crate::store::{Store, Tx};

mod approve;
pub mod doubts;
mod folder;
mod keeper;
mod list;
mod person;
mod push;
pub mod shadow;
mod widens;
mod withdraw;

pub use folder::{LoadError, Look, load, load_folder, read_folder};
pub use keeper::{Keeper, Place, adopt, opened};
pub use push::{Pushed, Versions};

/// When a set that was pushed waits for a second operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// When it may let anybody do more than before.
    Widening,
    Always,
    #[default]
    Never,
}

/// The set that decides now, and the one that looks on.
#[derive(Clone, Debug)]
pub struct Policies {
    active: Arc<ArcSwap<PolicySet>>,
    shadow: Arc<ArcSwapOption<PolicySet>>,
    store: Store,
    /// Sets are pushed by operators; otherwise they come from a folder.
    pushed: Option<Approval>,
}

impl Policies {
    /// Stores `set` by its hash, records that it decides from now on, and begins with it.
    pub async fn begin(store: Store, set: PolicySet, source: &str) -> Result<Self, Error> {
        let policies = Self::new(store, set, None);
        policies.remember(&policies.active(), source).await?;
        Ok(policies)
    }

    /// Begins with a set that operators have pushed.
    pub fn of_database(store: Store, set: PolicySet, approval: Approval) -> Self {
        Self::new(store, set, Some(approval))
    }

    fn new(store: Store, set: PolicySet, pushed: Option<Approval>) -> Self {
        Self { active: Arc::new(ArcSwap::from_pointee(set)), shadow: Arc::default(), store, pushed }
    }

    pub fn active(&self) -> Arc<PolicySet> {
        self.active.load_full()
    }

    /// The set that looks on. Nearly always there is none, which costs nothing.
    pub fn shadow(&self) -> Option<Arc<PolicySet>> {
        self.shadow.load_full()
    }

    /// When pushed sets wait for a second operator; nothing where sets come from a folder.
    pub const fn pushed(&self) -> Option<Approval> {
        self.pushed
    }

    /// Puts `set` in place of the active one; the same set again changes nothing. Returns whether it changed.
    pub async fn activate(&self, set: PolicySet, source: &str) -> Result<bool, Error> {
        if set.hash() == self.active().hash() {
            return Ok(false);
        }
        self.remember(&set, source).await?;
        self.put(set);
        Ok(true)
    }

    fn put(&self, set: PolicySet) {
        self.active.store(Arc::new(set));
    }

    fn look_on(&self, set: Option<PolicySet>) {
        self.shadow.store(set.map(Arc::new));
    }

    async fn remember(&self, set: &PolicySet, source: &str) -> Result<(), Error> {
        let (activated, record) = from_folder(&self.store, set, source)?;
        let written = async {
            let mut tx = self.store.begin().await?;
            activate(&mut tx, set, &activated, record).await?;
            Ok(tx.commit().await?)
        };
        self.store.whole(written).await
    }
}

/// What is noted of a set that a broker took from a folder by itself.
fn from_folder(store: &Store, set: &PolicySet, source: &str) -> Result<(Activated, Record), Error> {
    let system = store.system();
    let mut record = log::own(system, Kind::PolicyActivated)?.field("source", source);
    record.policy_hash = Some(set.hash());
    let activated = Activated {
        id: system.row_id()?,
        hash: set.hash(),
        source: source.to_owned(),
        at: system.now(),
        pushed: false,
        author: None,
        approver: None,
    };
    Ok((activated, record))
}

async fn activate(tx: &mut Tx, set: &PolicySet, activated: &Activated, record: Record) -> Result<(), Error> {
    tx.store_policy(&activated.hash, &files(set), activated.at).await?;
    tx.activate_policy(activated).await?;
    tx.remember(&[record]).await?;
    Ok(())
}

fn files(set: &PolicySet) -> Files {
    set.files().iter().map(|file| (file.path.clone(), file.text.clone())).collect()
}

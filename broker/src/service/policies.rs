//! The active policy set: loaded whole, checked whole, stored whole, put in place whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::audit::Kind;
use domain::policy::{PolicySet, Problem, SourceFile, check};

use super::error::Error;
use crate::audit::log;
use crate::store::Store;
use crate::store::policies::Activated;

/// Why a folder gives no policy set.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the policy folder at {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("the policy set in {} has {} problem(s)", path.display(), problems.len())]
    Unsound { path: PathBuf, problems: Vec<Problem> },
}

/// Reads every `.toml` file below `folder`, but for what begins with a dot: mounted folders keep their versions there, and the
/// client's offline checks do not read it either. Cases travel with the set, so that what is stored can be checked again.
pub fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let fail = |path: &Path, cause| LoadError::Read { path: path.to_owned(), cause };
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|cause| fail(&dir, cause))? {
            let path = entry.map_err(|cause| fail(&dir, cause))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                let text = std::fs::read_to_string(&path).map_err(|cause| fail(&path, cause))?;
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                files.push(SourceFile { path: name, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reads and checks a folder. A set whose cases fail is not sound, whoever forgot to run them.
pub fn load_folder(folder: &Path) -> Result<PolicySet, LoadError> {
    let report = check(read_folder(folder)?);
    let problems = report.errors();
    report.set.filter(|_| problems.is_empty()).ok_or_else(|| LoadError::Unsound { path: folder.to_owned(), problems })
}

/// The set that decides now.
#[derive(Clone, Debug)]
pub struct Policies {
    active: Arc<ArcSwap<PolicySet>>,
    store: Store,
}

impl Policies {
    /// Stores `set` by its hash, records that it decides from now on, and begins with it.
    pub async fn begin(store: Store, set: PolicySet, source: &str) -> Result<Self, Error> {
        let policies = Self { active: Arc::new(ArcSwap::from_pointee(set)), store };
        policies.remember(&policies.active(), source).await?;
        Ok(policies)
    }

    pub fn active(&self) -> Arc<PolicySet> {
        self.active.load_full()
    }

    /// Puts `set` in place of the active one; the same set again changes nothing. Returns whether it changed.
    pub async fn activate(&self, set: PolicySet, source: &str) -> Result<bool, Error> {
        if set.hash() == self.active().hash() {
            return Ok(false);
        }
        self.remember(&set, source).await?;
        self.active.store(Arc::new(set));
        Ok(true)
    }

    async fn remember(&self, set: &PolicySet, source: &str) -> Result<(), Error> {
        let system = self.store.system();
        let mut record = log::own(system, Kind::PolicyActivated)?.field("source", source);
        record.policy_hash = Some(set.hash());
        let activated = Activated { id: system.row_id()?, hash: set.hash(), source: source.to_owned(), at: system.now() };
        let files = set.files().iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        let mut tx = self.store.begin().await?;
        tx.activate_policy(&activated, &files).await?;
        tx.remember(&[record]).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_set_whose_case_fails_is_not_loaded() {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        assert!(load_folder(&starter).is_ok());
        let folder = tempfile::tempdir().unwrap();
        for file in read_folder(&starter).unwrap() {
            let (path, text) = (folder.path().join(&file.path), file.text.replace("expect = \"deny\"", "expect = \"allow\""));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("code   =", "# code")).unwrap();
        }
        let Err(LoadError::Unsound { problems, .. }) = load_folder(folder.path()) else { panic!("it was taken") };
        assert!(problems.iter().all(|problem| problem.rule == "case-failed"), "{problems:?}");
    }

    /// A mounted ConfigMap: every file is a link through `..data` to a folder of this version.
    #[test]
    fn a_mounted_folder_is_read_once() {
        let mount = tempfile::tempdir().unwrap();
        let version = mount.path().join("..2026_11_22");
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("issuers.toml"), "").unwrap();
        symlink("..2026_11_22", mount.path().join("..data")).unwrap();
        symlink("..data/issuers.toml", mount.path().join("issuers.toml")).unwrap();
        let files = read_folder(mount.path()).unwrap();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["issuers.toml"]);
    }
}

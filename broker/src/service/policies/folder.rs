//! A set as files of a folder.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use domain::policy::{PolicySet, Problem, SourceFile, check};

/// Why a folder gives no policy set.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the policy folder at {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// A folder that is being emptied or is not mounted yet would otherwise shut everybody out.
    #[error("the policy folder at {} holds no .toml file", path.display())]
    Empty { path: PathBuf },
    #[error("the policy set in {} has {} problem(s)", path.display(), problems.len())]
    Unsound { path: PathBuf, problems: Vec<Problem> },
}

/// What a folder looks like without opening its files: paths, times, sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look(Vec<(PathBuf, Option<SystemTime>, u64)>);

impl Look {
    pub fn at(folder: &Path) -> Result<Self, LoadError> {
        let mut seen = Vec::new();
        walk(folder, |path, about| {
            seen.push((path.to_owned(), about.modified().ok(), about.len()));
            Ok(())
        })?;
        seen.sort();
        Ok(Self(seen))
    }
}

/// Reads every `.toml` file below `folder`, but for what begins with a dot: mounted folders keep their versions there, and the
/// client's offline checks do not read it either. Cases travel with the set, so that what is stored can be checked again.
pub fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let mut files = Vec::new();
    walk(folder, |path, _| {
        let text = std::fs::read_to_string(path)?;
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
        files.push(SourceFile { path: name, text });
        Ok(())
    })?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, mut found: impl FnMut(&Path, &std::fs::Metadata) -> std::io::Result<()>) -> Result<(), LoadError> {
    let fail = |path: &Path, cause| LoadError::Read { path: path.to_owned(), cause };
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|cause| fail(&dir, cause))? {
            let path = entry.map_err(|cause| fail(&dir, cause))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            // What a link leads to, not the link.
            let about = std::fs::metadata(&path).map_err(|cause| fail(&path, cause))?;
            if about.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                found(&path, &about).map_err(|cause| fail(&path, cause))?;
            }
        }
    }
    Ok(())
}

/// Reads and checks a folder. A set whose cases fail is not sound, whoever forgot to run them.
pub fn load_folder(folder: &Path) -> Result<PolicySet, LoadError> {
    let files = read_folder(folder)?;
    if files.is_empty() {
        return Err(LoadError::Empty { path: folder.to_owned() });
    }
    load(files).map_err(|problems| LoadError::Unsound { path: folder.to_owned(), problems })
}

/// The set, or everything that stands against it, failed cases included.
pub fn load(files: Vec<SourceFile>) -> Result<PolicySet, Vec<Problem>> {
    let report = check(files);
    let problems = report.errors();
    report.set.filter(|_| problems.is_empty()).ok_or(problems)
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
    fn a_mounted_folder_is_read_once_and_a_new_version_is_seen() {
        let mount = tempfile::tempdir().unwrap();
        let version = |name: &str, text: &str| {
            std::fs::create_dir(mount.path().join(name)).unwrap();
            std::fs::write(mount.path().join(name).join("issuers.toml"), text).unwrap();
        };
        version("..2026_11_22", "");
        symlink("..2026_11_22", mount.path().join("..data")).unwrap();
        symlink("..data/issuers.toml", mount.path().join("issuers.toml")).unwrap();
        let files = read_folder(mount.path()).unwrap();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["issuers.toml"]);
        let look = Look::at(mount.path()).unwrap();
        assert_eq!(look, Look::at(mount.path()).unwrap());
        version("..2026_11_23", "# changed");
        symlink("..2026_11_23", mount.path().join("..new")).unwrap();
        std::fs::rename(mount.path().join("..new"), mount.path().join("..data")).unwrap();
        assert_ne!(look, Look::at(mount.path()).unwrap());
    }
}

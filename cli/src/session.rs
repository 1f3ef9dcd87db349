//! The session that `login` keeps for later commands: one file that only its owner can read, in a place that does not outlive
//! the login or the job. It is believed only for the address it was opened at.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::secret::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::deliver::files::memory_folder;
use crate::failure::{Failure, Result};
use crate::issued::Issued;
use crate::surroundings::Environment;

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) address: String,
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) ends_at: OffsetDateTime,
    pub(crate) token: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    address: String,
    id: String,
    role: String,
    #[serde(with = "time::serde::rfc3339")]
    ends_at: OffsetDateTime,
    token: String,
}

impl Session {
    /// The session that an exchange at `address` opened.
    pub(crate) fn opened(address: &str, issued: &Issued) -> Result<Self> {
        let token =
            issued.session_token.clone().ok_or_else(|| Failure::unreachable("the broker's answer holds no session token"))?;
        Ok(Self {
            address: address.to_owned(),
            id: issued.session_id.clone(),
            role: issued.role.clone(),
            ends_at: issued.ends_at,
            token,
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ends_at <= now()
    }
}

#[expect(clippy::disallowed_methods, reason = "the broker's clock is not here; it has the last word anyway")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Where the session is kept.
#[derive(Debug)]
pub(crate) struct Keep {
    path: PathBuf,
}

impl Keep {
    /// The file named by the user, or one in the first suitable folder of this job or login.
    pub(crate) fn find(env: &Environment, named: Option<&Path>) -> Result<Self> {
        if let Some(path) = named {
            return Ok(Self { path: path.to_owned() });
        }
        let job = env
            .var("XDG_RUNTIME_DIR")
            .or(env.var("RUNNER_TEMP"))
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.is_dir());
        let parent = job.or_else(|| memory_folder(env)).ok_or_else(|| {
            Failure::local("there is no place for the session (tried XDG_RUNTIME_DIR, RUNNER_TEMP and /dev/shm)")
                .fix("name a file with --session-file, on a file system that does not outlive this job")
        })?;
        // The folder may be shared with other users; the name keeps them apart and the checks below keep them out.
        let folder = parent.join(format!("daypass-{}", rustix::process::geteuid().as_raw()));
        Ok(Self { path: folder.join("session.json") })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The kept session; none when there is no file. A file that others could have written or read is refused.
    pub(crate) fn load(&self) -> Result<Option<Session>> {
        let file = match OpenOptions::new().read(true).custom_flags(nofollow()).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable().because(&error)),
        };
        let about = file.metadata().map_err(|error| self.unusable().because(&error))?;
        if !about.is_file() || about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o077 != 0 {
            return Err(Failure::local(format!(
                "the session file {} belongs to, or is open to, somebody else",
                self.path.display()
            ))
            .fix("remove it and log in again"));
        }
        let text = Zeroizing::new(std::io::read_to_string(file).map_err(|error| self.unusable().because(&error))?);
        // The reader's message is not passed on: it could quote the token.
        let stored: Stored = serde_json::from_str(&text).map_err(|_| self.unusable())?;
        Ok(Some(Session {
            address: stored.address,
            id: stored.id,
            role: stored.role,
            ends_at: stored.ends_at,
            token: Secret::new(stored.token),
        }))
    }

    /// Replaces what was kept, in one step.
    pub(crate) fn save(&self, session: &Session) -> Result<()> {
        let stored = Stored {
            address: session.address.clone(),
            id: session.id.clone(),
            role: session.role.clone(),
            ends_at: session.ends_at,
            token: session.token.expose().clone(),
        };
        let text = Zeroizing::new(serde_json::to_vec(&stored).map_err(|error| self.unwritable(&error))?);
        drop(Secret::new(stored.token));
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.own(folder)?;
        let fresh = folder.join(format!(".session-{}", uuid::Uuid::new_v4().simple()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| std::fs::rename(&fresh, &self.path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&fresh);
            self.unwritable(&error)
        })
    }

    pub(crate) fn forget(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::local(format!("the session file {} cannot be removed", self.path.display())).because(&error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the folder; one that somebody else made first, or could put files into, is refused.
    fn own(&self, folder: &Path) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(self.unwritable(&error)),
            Err(_) => {}
        }
        let about = std::fs::symlink_metadata(folder).map_err(|error| self.unwritable(&error))?;
        let trusted = [0, rustix::process::geteuid().as_raw()].contains(&about.uid());
        // In a sticky folder, such as /tmp, nobody replaces the files of others.
        let open_to_others = about.mode() & 0o022 != 0 && about.mode() & 0o1000 == 0;
        if !about.is_dir() || !trusted || open_to_others {
            return Err(Failure::local(format!(
                "the folder {} belongs to, or can be written by, somebody else",
                folder.display()
            ))
            .fix("name another place with --session-file"));
        }
        Ok(())
    }

    fn unusable(&self) -> Failure {
        Failure::local(format!("the session file {} cannot be read", self.path.display())).fix("remove it and log in again")
    }

    fn unwritable(&self, error: &dyn std::error::Error) -> Failure {
        Failure::local(format!("the session file {} cannot be written", self.path.display())).because(error)
    }
}

fn nofollow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn session() -> Session {
        Session {
            address: "https://broker.example".to_owned(),
            id: "s1".to_owned(),
            role: "shop-deploy".to_owned(),
            ends_at: OffsetDateTime::UNIX_EPOCH,
            token: Secret::from("dps_secret"),
        }
    }

    fn keep(folder: &Path) -> Keep {
        let runtime = folder.to_str().expect("text").to_owned();
        Keep::find(&Environment::from([("XDG_RUNTIME_DIR", runtime.as_str())]), None).expect("a place")
    }

    #[test]
    fn keeps_the_session_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = keep(folder.path());
        assert!(keep.load().expect("nothing yet").is_none());
        keep.save(&session()).expect("saved");
        keep.save(&session()).expect("saved again");
        assert_eq!(keep.path().metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(keep.path().parent().expect("a folder").metadata().expect("there").permissions().mode() & 0o777, 0o700);
        let loaded = keep.load().expect("readable").expect("kept");
        assert_eq!((loaded.token.expose().as_str(), loaded.role.as_str()), ("dps_secret", "shop-deploy"));
        assert!(loaded.has_ended());
        keep.forget().expect("forgotten");
        keep.forget().expect("twice does no harm");
        assert!(keep.load().expect("nothing left").is_none());
    }

    #[test]
    fn refuses_a_file_that_others_can_touch() {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = keep(folder.path());
        keep.save(&session()).expect("saved");
        std::fs::set_permissions(keep.path(), std::fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(keep.load().is_err());
        std::fs::remove_file(keep.path()).expect("removed");
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "{}").expect("written");
        symlink(&elsewhere, keep.path()).expect("linked");
        assert!(keep.load().is_err());
    }

    #[test]
    fn refuses_a_folder_that_others_can_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let keep = keep(folder.path());
        let own = keep.path().parent().expect("a folder");
        std::fs::create_dir(own).expect("made");
        std::fs::set_permissions(own, std::fs::Permissions::from_mode(0o777)).expect("changed");
        assert!(keep.save(&session()).is_err());
    }
}

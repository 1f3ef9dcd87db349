//! The sessions that `login` keeps for later commands: one file that only its owner can read, in a place that does not outlive
//! the job where there is one. A session is believed only in the job that opened it, and only for the address it was opened at.
//! A new one never replaces one that lives: each is there until it is released or ends.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::secret::Secret;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::deliver::files::memory_folder;
use crate::failure::{Failure, Result};
use crate::issued::Issued;
use crate::surroundings::Environment;

#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Where jobs speak to the broker. Not known after a bootstrap that named the operators' listener alone.
    pub(crate) address: Option<String>,
    /// Where operators do, when the login named it.
    pub(crate) operators: Option<String>,
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) ends_at: OffsetDateTime,
    pub(crate) token: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    job: String,
    address: Option<String>,
    operators: Option<String>,
    id: String,
    role: String,
    #[serde(with = "time::serde::rfc3339")]
    ends_at: OffsetDateTime,
    #[serde(with = "clear")]
    token: Secret<String>,
}

/// The one place where a token is written out and read back.
mod clear {
    use super::Secret;

    pub(super) fn serialize<S: serde::Serializer>(token: &Secret<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(token.expose())
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Secret<String>, D::Error> {
        serde::Deserialize::deserialize(from).map(Secret::new)
    }
}

impl Session {
    /// The session that an exchange opened.
    pub(crate) fn opened(issued: &Issued, address: Option<&str>, operators: Option<&str>) -> Result<Self> {
        let token =
            issued.session_token.clone().ok_or_else(|| Failure::unreachable("the broker's answer holds no session token"))?;
        Ok(Self {
            address: address.map(str::to_owned),
            operators: operators.map(str::to_owned),
            id: issued.session_id.clone(),
            role: issued.role.clone(),
            ends_at: issued.ends_at,
            token,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the broker's clock is not here; it has the last word anyway")]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Which of several sessions a command without a role means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This one from now on.
    First,
    /// The one that was meant before.
    Last,
}

/// Where the sessions are kept.
#[derive(Debug)]
pub(crate) struct Keep {
    path: PathBuf,
    job: String,
}

impl Keep {
    /// The file named by the user, or one in the first suitable folder of this job or login.
    pub(crate) fn find(env: &Environment, named: Option<&Path>) -> Result<Self> {
        let job = job(env);
        if let Some(path) = named {
            return Ok(Self { path: path.to_owned(), job });
        }
        let folders = ["RUNNER_TEMP", "XDG_RUNTIME_DIR"].into_iter().filter_map(|name| env.var(name).map(PathBuf::from));
        let parent =
            folders.into_iter().find(|path| path.is_absolute() && path.is_dir()).or_else(|| memory_folder(env)).ok_or_else(
                || {
                    Failure::local("there is no place for the session (tried RUNNER_TEMP, XDG_RUNTIME_DIR and /dev/shm)")
                        .fix("name a file with --session-file, on a file system that does not outlive this job")
                },
            )?;
        // The folder may be shared with other users; the name keeps them apart and the checks below keep them out.
        let folder = parent.join(format!("daypass-{}", rustix::process::geteuid().as_raw()));
        Ok(Self { path: folder.join("sessions.json"), job })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The sessions of this job that have not ended; none when there is no file.
    pub(crate) fn sessions(&self) -> Result<Vec<Session>> {
        let mine = self.load()?.into_iter().filter(|stored| stored.job == self.job);
        Ok(mine
            .map(|Stored { address, operators, id, role, ends_at, token, .. }| Session {
                address,
                operators,
                id,
                role,
                ends_at,
                token,
            })
            .collect())
    }

    pub(crate) fn add(&self, session: &Session, place: Place) -> Result<()> {
        let Session { address, operators, id, role, ends_at, token } = session.clone();
        let stored = Stored { job: self.job.clone(), address, operators, id, role, ends_at, token };
        self.change(|all| match place {
            Place::First => all.insert(0, stored),
            Place::Last => all.push(stored),
        })
    }

    pub(crate) fn forget(&self, id: &str) -> Result<()> {
        self.change(|all| all.retain(|stored| stored.id != id))
    }

    /// What is kept and alive, of every job. A file that others could have written or read is refused.
    fn load(&self) -> Result<Vec<Stored>> {
        let file = match OpenOptions::new().read(true).custom_flags(nofollow()).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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
        let mut all: Vec<Stored> = serde_json::from_str(&text).map_err(|_| self.unusable())?;
        let now = now();
        all.retain(|stored| stored.ends_at > now);
        Ok(all)
    }

    /// Replaces the file in one step, with no other command of this user in between. A file that holds nothing is removed.
    fn change(&self, change: impl FnOnce(&mut Vec<Stored>)) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.own(folder)?;
        let _alone = alone(folder);
        let mut all = self.load()?;
        change(&mut all);
        if all.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Failure::local(format!("the session file {} cannot be removed", self.path.display())).because(&error))
                }
                _ => Ok(()),
            };
        }
        let text = Zeroizing::new(serde_json::to_vec(&all).map_err(|error| self.unwritable(&error))?);
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

/// What tells this job from every other that runs as the same user on the same machine; nothing outside of CI.
fn job(env: &Environment) -> String {
    const NAMES: [&str; 9] = [
        "CI_SERVER_URL",
        "CI_JOB_ID",
        "GITHUB_SERVER_URL",
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "GITHUB_JOB",
        "RUNNER_NAME",
        "BUILDKITE_JOB_ID",
        "BUILD_TAG",
    ];
    let said = NAMES.into_iter().filter_map(|name| env.var(name).map(|value| format!("{name}={value}")));
    said.collect::<Vec<_>>().join(" ")
}

/// Holds other commands off. Only where nobody else can hold us off: others cannot open a folder that is closed to them.
fn alone(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    let open_to_others = folder.metadata().is_ok_and(|about| about.mode() & 0o077 != 0);
    (!open_to_others && flock(&folder, FlockOperation::LockExclusive).is_ok()).then_some(folder)
}

fn nofollow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests;

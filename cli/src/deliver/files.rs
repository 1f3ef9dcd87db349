//! Credentials as files: 0600, in a fresh 0700 folder on a file system that lives in memory, overwritten and removed at exit.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::secret::Secret;
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::deliver::naming::{Variables, exact, expected, has_names_of_its_own, with_expected_names};
use crate::failure::{Failure, Result};
use crate::issued::Credential;
use crate::surroundings::Environment;

/// The folder and what it holds; dropping it removes both.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    written: Vec<PathBuf>,
    /// Its lock tells other runs that this one is alive; the system releases it however this process ends.
    _alive: File,
}

/// What the folders' names begin with.
const NAME: &str = "daypass-files-";
/// Younger folders may be about to be locked.
const SETTLED: Duration = Duration::from_mins(1);

/// Writes every field to a file and names the paths. Values that are no secret stand in the environment as usual.
pub(crate) fn deliver(
    env: &Environment,
    credentials: &[Credential],
    prefix: bool,
    allow_disk: bool,
) -> Result<(Files, Variables)> {
    let mut files = Files::fresh(env, allow_disk)?;
    let mut named = Variables::default();
    for credential in credentials {
        for field in credential.fields() {
            let name = exact(&credential.name, field.name);
            if files.has(&name) {
                named.notes.push(format!("{name}_FILE would stand for two values; the first one keeps it"));
                continue;
            }
            let path = files.write(&name, field.value.expose().as_bytes())?;
            named.add(format!("{name}_FILE"), path);
        }
    }
    for (credential, in_front) in with_expected_names(credentials, prefix, &mut named.notes) {
        named.displace(credential, &in_front);
        for field in credential.fields() {
            for name in expected(credential, field.name) {
                if !field.confidential {
                    named.add_usual(credential, format!("{in_front}{name}"), field.value.clone());
                } else if has_names_of_its_own(credential) {
                    named.displaced.push(format!("{in_front}{name}"));
                } else {
                    let path = files.path_of(&exact(&credential.name, field.name));
                    named.add_usual(credential, format!("{in_front}{name}_FILE"), path);
                }
            }
        }
        if let Some((name, content)) = client_file(credential) {
            let name = format!("{in_front}{name}");
            if files.has(&name) {
                named.notes.push(format!("{name} would stand for two files; the first one keeps it"));
                continue;
            }
            let path = files.write(&name, content.as_bytes())?;
            named.add(name, path);
        }
    }
    Ok((files, named))
}

/// The file that the usual programs of this engine read, and the variable that names it.
fn client_file(credential: &Credential) -> Option<(&'static str, Zeroizing<String>)> {
    let field = |name: &str| credential.field(name).map(|value| value.expose().as_str());
    match credential.engine.as_str() {
        "postgres" => {
            let parts = [
                field("host")?,
                field("port").unwrap_or("*"),
                field("database").unwrap_or("*"),
                field("username")?,
                field("password")?,
            ];
            let line: Vec<Zeroizing<String>> =
                parts.iter().map(|part| Zeroizing::new(part.replace('\\', "\\\\").replace(':', "\\:"))).collect();
            let line: Vec<&str> = line.iter().map(|part| part.as_str()).collect();
            Some(("PGPASSFILE", Zeroizing::new(format!("{}\n", line.join(":")))))
        }
        "aws" => {
            let mut text = Zeroizing::new(String::from("[default]\n"));
            for (key, name) in [
                ("aws_access_key_id", "access_key_id"),
                ("aws_secret_access_key", "secret_access_key"),
                ("aws_session_token", "session_token"),
            ] {
                for part in [key, " = ", field(name)?, "\n"] {
                    text.push_str(part);
                }
            }
            Some(("AWS_SHARED_CREDENTIALS_FILE", text))
        }
        // Named on the command line: mysql --defaults-extra-file="$MYSQL_DEFAULTS_FILE".
        "mysql" => {
            let mut text = Zeroizing::new(String::from("[client]\n"));
            for (key, name) in [("host", "host"), ("port", "port"), ("user", "username"), ("password", "password")] {
                let value = Zeroizing::new(field(name)?.replace('\\', "\\\\").replace('"', "\\\""));
                for part in [key, "=\"", value.as_str(), "\"\n"] {
                    text.push_str(part);
                }
            }
            Some(("MYSQL_DEFAULTS_FILE", text))
        }
        _ => None,
    }
}

impl Files {
    fn fresh(env: &Environment, allow_disk: bool) -> Result<Self> {
        let parent = memory_folder(env)
            .or_else(|| allow_disk.then(|| PathBuf::from(env.var("RUNNER_TEMP").or(env.var("TMPDIR")).unwrap_or("/tmp"))))
            .ok_or_else(|| {
                Failure::local("no writable file system in memory was found (tried XDG_RUNTIME_DIR, /dev/shm and /run/shm)")
                    .fix("mount a tmpfs at /dev/shm, leave --files out, or accept a disk with --allow-disk")
            })?;
        remove_left_behind(&parent);
        let folder = parent.join(format!("{NAME}{}", uuid::Uuid::new_v4().simple()));
        let made = DirBuilder::new().mode(0o700).create(&folder).and_then(|()| {
            let alive = File::open(&folder)?;
            flock(&alive, FlockOperation::NonBlockingLockExclusive)?;
            Ok(alive)
        });
        let alive =
            made.map_err(|error| Failure::local(format!("the folder {} cannot be made", folder.display())).because(&error))?;
        Ok(Self { folder, written: Vec::new(), _alive: alive })
    }

    fn has(&self, name: &str) -> bool {
        self.written.contains(&self.folder.join(name))
    }

    fn path_of(&self, name: &str) -> Secret<String> {
        Secret::new(self.folder.join(name).display().to_string())
    }

    /// The path comes back as the value of a variable.
    fn write(&mut self, name: &str, content: &[u8]) -> Result<Secret<String>> {
        let path = self.folder.join(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            self.written.push(path.clone());
            file.write_all(content)
        });
        written.map_err(|error| Failure::local(format!("the file {} cannot be written", path.display())).because(&error))?;
        Ok(self.path_of(name))
    }

    /// Overwrites and removes everything; what could not be removed is told.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.wipe().map_err(|error| {
            Failure::local(format!("the folder {} could not be removed", self.folder.display()))
                .because(&error)
                .fix("remove it by hand")
        })
    }

    fn wipe(&mut self) -> std::io::Result<()> {
        for path in self.written.drain(..) {
            // The command may have removed or replaced the file; the removal of the folder is what counts.
            let _ = overwrite(&path);
        }
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.wipe();
    }
}

/// Removes the folders of runs that were killed before they could do it themselves.
fn remove_left_behind(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        let ours = about.is_dir() && about.uid() == rustix::process::geteuid().as_raw();
        let settled = about.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > SETTLED);
        if !ours || !settled || !entry.file_name().to_string_lossy().starts_with(NAME) {
            continue;
        }
        let Ok(folder) = File::open(&path) else { continue };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            for file in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                let _ = overwrite(&file.path());
            }
            // Tried again by the next run.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

fn overwrite(path: &Path) -> std::io::Result<()> {
    // A link put in its place would lead elsewhere.
    let length = std::fs::symlink_metadata(path)?;
    if !length.is_file() {
        return Ok(());
    }
    let mut file: File = OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![0; usize::try_from(length.len()).unwrap_or(0)])?;
    file.sync_data()
}

/// A folder on a file system that never touches a disk.
pub(crate) fn memory_folder(env: &Environment) -> Option<PathBuf> {
    let named = env.var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    named
        .into_iter()
        .chain([PathBuf::from("/dev/shm"), PathBuf::from("/run/shm")])
        .find(|path| is_in_memory(path) && is_writable(path))
}

#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    rustix::fs::statfs(path).is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| kind == TMPFS || kind == RAMFS))
}

/// Other systems have no place that is known to stay in memory.
#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &Path) -> bool {
    false
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::issued::tests::credential;

    fn db() -> Credential {
        credential(
            "db",
            "postgres",
            &[("username", "u"), ("password", "p:w\\d"), ("host", "h"), ("port", "5432"), ("database", "shop")],
        )
    }

    fn value(named: &Variables, name: &str) -> String {
        named
            .all
            .iter()
            .find(|variable| variable.name == name)
            .unwrap_or_else(|| panic!("{name} is not set"))
            .value
            .expose()
            .clone()
    }

    #[test]
    fn only_the_owner_reads_them_and_nothing_is_left() {
        let (files, named) = deliver(&Environment::default(), &[db()], false, false).expect("delivered");
        let path = PathBuf::from(value(&named, "DAYPASS_DB_PASSWORD_FILE"));
        let folder = path.parent().expect("a folder").to_owned();
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "p:w\\d");
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.metadata().expect("there").permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.join("made-by-the-command"), "x").expect("written");
        files.remove().expect("removed");
        assert!(!folder.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_by_the_next() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = |name: &str, age: u64| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).expect("made");
            std::fs::write(path.join("secret"), "x").expect("written");
            let file = File::open(&path).expect("open");
            let made = file.metadata().and_then(|about| about.modified()).expect("a time");
            file.set_modified(made - Duration::from_secs(age)).expect("aged");
            path
        };
        let left = folder("daypass-files-left", 3600);
        let alive = folder("daypass-files-alive", 3600);
        let young = folder("daypass-files-young", 1);
        let other = folder("daypass-0", 3600);
        let lock = File::open(&alive).expect("open");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("locked");
        remove_left_behind(parent.path());
        assert!(!left.exists());
        assert!(alive.exists() && young.exists() && other.exists());
    }

    #[test]
    fn credentials_whose_names_look_alike_get_files_all_the_same() {
        let [a, b] = ["a-b", "a_b"].map(|name| {
            let mut db = db();
            name.clone_into(&mut db.name);
            db
        });
        let (_files, named) = deliver(&Environment::default(), &[a, b], true, false).expect("delivered");
        assert!(value(&named, "A_B_PGPASSFILE").ends_with("/A_B_PGPASSFILE"));
        assert!(named.notes.iter().any(|note| note.starts_with("A_B_PGPASSFILE")), "{:?}", named.notes);
    }

    #[test]
    fn a_stored_secret_steers_no_program_by_a_file_either() {
        let cloud = credential("aws", "kv", &[("config", "[default]\ncredential_process = sh")]);
        let (_files, named) = deliver(&Environment::default(), &[cloud], false, false).expect("delivered");
        let names: Vec<&str> = named.all.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["DAYPASS_AWS_CONFIG_FILE"]);
    }

    #[test]
    fn an_option_file_for_mysql_holds_any_password() {
        let fields = [("username", "u"), ("password", "p\"#\\;w"), ("host", "h"), ("port", "3306"), ("url", "mysql://")];
        let (_files, named) =
            deliver(&Environment::default(), &[credential("db", "mysql", &fields)], false, false).expect("delivered");
        assert_eq!(
            std::fs::read_to_string(value(&named, "MYSQL_DEFAULTS_FILE")).expect("read"),
            "[client]\nhost=\"h\"\nport=\"3306\"\nuser=\"u\"\npassword=\"p\\\"#\\\\;w\"\n"
        );
        assert_eq!((value(&named, "MYSQL_HOST"), value(&named, "MYSQL_TCP_PORT")), ("h".to_owned(), "3306".to_owned()));
        for secret in ["MYSQL_PWD", "DATABASE_URL"] {
            assert!(named.all.iter().all(|variable| variable.name != secret), "no secret stands in the environment");
            assert!(named.displaced.iter().any(|name| name == secret), "nor an inherited one");
        }
    }

    #[test]
    fn programs_find_their_own_files() {
        let cloud = credential(
            "cloud",
            "aws",
            &[("access_key_id", "A"), ("secret_access_key", "S"), ("session_token", "T"), ("region", "eu")],
        );
        let registry = credential("registry", "kv", &[("password", "pw")]);
        let (files, named) = deliver(&Environment::default(), &[db(), cloud, registry], false, false).expect("delivered");
        assert_eq!(std::fs::read_to_string(value(&named, "PGPASSFILE")).expect("read"), "h:5432:shop:u:p\\:w\\\\d\n");
        assert_eq!(
            std::fs::read_to_string(value(&named, "AWS_SHARED_CREDENTIALS_FILE")).expect("read"),
            "[default]\naws_access_key_id = A\naws_secret_access_key = S\naws_session_token = T\n"
        );
        assert_eq!(std::fs::read_to_string(value(&named, "REGISTRY_PASSWORD_FILE")).expect("read"), "pw");
        assert_eq!((value(&named, "PGHOST"), value(&named, "AWS_REGION")), ("h".to_owned(), "eu".to_owned()));
        let values: Vec<&str> = named.all.iter().map(|variable| variable.value.expose().as_str()).collect();
        assert!(
            !values.contains(&"p:w\\d") && !values.contains(&"S") && !values.contains(&"pw"),
            "no secret stands in the environment"
        );
        drop(files);
        assert!(!Path::new(&value(&named, "PGPASSFILE")).exists(), "dropping removes them too");
    }
}

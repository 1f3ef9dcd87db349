//! The user that PostgreSQL runs as when the caller is root.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to drop to, or `None` when the caller is not root and PostgreSQL runs as the caller.
    pub(super) async fn for_server() -> Result<Option<Self>> {
        let output = Command::new("id").arg("-u").output().await.context("cannot run id")?;
        if String::from_utf8_lossy(&output.stdout).trim() != "0" {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = CANDIDATES.iter().find_map(|name| Self::find(&users, name));
        Ok(Some(account.context("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")?))
    }

    fn find(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (user, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            (user == name).then_some(())?;
            Some(Self { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        })
    }

    /// Makes the command run as this account; supplementary groups of root are dropped with it.
    pub(super) fn drop_to(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// The same by `setpriv`, which keeps the signal that the parent's death sends (a plain change of user clears it).
    pub(super) fn drop_with_setpriv(&self, command: &mut Command) {
        command.args(["--reuid", &self.uid.to_string(), "--regid", &self.gid.to_string(), "--clear-groups"]);
    }

    /// Gives a file or directory to this account.
    pub(super) fn own(&self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Says which directory is in the way if this account cannot reach the place.
    pub(super) async fn check_reach(&self, dir: &Path) -> Result<()> {
        let mut command = Command::new("test");
        self.drop_to(&mut command);
        if command.arg("-x").arg(dir).status().await.context("cannot run test")?.success() {
            return Ok(());
        }
        bail!(
            "PostgreSQL runs as {} here, who cannot enter {}: choose a directory whose parents everyone may pass through",
            self.name,
            dir.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn finds_an_account_by_its_whole_name() {
        let account = Account::find(USERS, "nobody").unwrap();
        assert_eq!((account.uid, account.gid), (65534, 65534));
        assert!(Account::find(USERS, "nobo").is_none());
    }
}

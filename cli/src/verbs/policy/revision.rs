//! A policy set as it stood at a git revision. `git` itself is asked, with arguments and never through a shell; nothing is
//! checked out, and the working tree is not touched.

use std::path::Path;
use std::process::Command;

use domain::policy::SourceFile;

use crate::failure::{Failure, Result};

/// The files below `folder` as a revision has them; as in a folder, only `.toml`, and nothing that begins with a dot.
pub(super) fn read_revision(folder: &Path, revision: &str) -> Result<Vec<SourceFile>> {
    let commit = commit(folder, revision)?;
    // Asked from inside the folder, git lists what lies below it, by its path from there.
    let listed = text(git(folder, &["ls-tree", "-r", "-z", &commit])?)?;
    let mut files = Vec::new();
    for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
        let Some((about, path)) = entry.split_once('\t') else { continue };
        if path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        let mut about = about.split(' ');
        let (mode, blob) = (about.next().unwrap_or_default(), about.nth(1).unwrap_or_default());
        // A link or a submodule may be a folder with more of the set in it, which a folder on disk is read through.
        if !mode.starts_with("100") {
            return Err(Failure::usage(format!("{path} is no plain file at {revision}")).fix("compare two folders instead"));
        }
        if Path::new(path).extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        files.push(SourceFile { path: path.to_owned(), text: text(git(folder, &["cat-file", "blob", blob])?)? });
    }
    if files.is_empty() {
        return Err(Failure::usage(format!("at {revision} the folder {} holds no .toml file", folder.display()))
            .fix("name the folder of the policy set, as it was called then"));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Whether git knows a commit by that name.
pub(super) fn is_revision(folder: &Path, name: &str) -> bool {
    commit(folder, name).is_ok()
}

/// The commit from which two revisions have parted, as `git diff A...B` takes it.
pub(super) fn merge_base(folder: &Path, one: &str, other: &str) -> Result<String> {
    let (from, to) = (commit(folder, one)?, commit(folder, other)?);
    let base = git(folder, &["merge-base", &from, &to]).map_err(|_| {
        Failure::usage(format!("{one} and {other} have no commit in common")).fix(
            "in a shallow clone of a CI job, fetch more than the last commit (actions/checkout: fetch-depth: 0); \
             or write two dots, to compare the two as they are",
        )
    })?;
    Ok(text(base)?.trim().to_owned())
}

/// The commit that a revision names.
fn commit(folder: &Path, revision: &str) -> Result<String> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder {}", folder.display())).fix("name the folder of the policy set"));
    }
    git(folder, &["rev-parse", "--git-dir"]).map_err(|failure| {
        failure.fix(format!("{} is in no git repository; name two folders to compare them", folder.display()))
    })?;
    let commit = git(folder, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
        .map_err(|_| {
            Failure::usage(format!("there is neither a folder nor a git revision {revision}"))
                .fix("fetch it first; in a shallow clone of a CI job, fetch more than the last commit (actions/checkout: fetch-depth: 0)")
        })?;
    Ok(text(commit)?.trim().to_owned())
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new("git");
    // A hook of git's names its own repository in these; the one of the folder is meant.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).env("LC_ALL", "C").arg("--no-pager").args(arguments).output();
    let output = output.map_err(|error| {
        Failure::local("git cannot be started").because(&error).fix("install git, or name two folders to compare them")
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it says nothing").to_owned();
    Err(Failure::usage(format!("git {} failed: {said}", arguments.first().copied().unwrap_or_default())))
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Failure::usage("a file of the revision is not UTF-8").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path, arguments: &[&str]) {
        let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").current_dir(folder).args(settings).args(arguments).output().expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    #[test]
    fn reads_a_folder_as_it_stood() {
        if Command::new("git").arg("--version").output().is_err() {
            return;
        }
        let root = tempfile::tempdir().expect("a folder");
        let policies = root.path().join("deep/policies");
        std::fs::create_dir_all(policies.join("cases")).expect("made");
        let write = |name: &str, text: &str| std::fs::write(policies.join(name), text).expect("written");
        assert!(read_revision(&policies, "HEAD").expect_err("no repository").title.contains("git"));
        make(root.path(), &["init", "--quiet"]);
        write("a.toml", "# old");
        write("cases/b.toml", "# é");
        write(".hidden.toml", "");
        write("notes.md", "");
        std::fs::write(root.path().join("outside.toml"), "").expect("written");
        make(root.path(), &["add", "-A"]);
        make(root.path(), &["commit", "--quiet", "-m", "one"]);
        write("a.toml", "# new");
        let files = read_revision(&policies, "HEAD").expect("read");
        let read: Vec<(&str, &str)> = files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
        assert_eq!(read, [("a.toml", "# old"), ("cases/b.toml", "# é")]);
        for unknown in ["nowhere", "--upload-pack=x", "HEAD:a.toml"] {
            assert!(read_revision(&policies, unknown).expect_err("unknown").title.contains("neither"), "{unknown}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a.toml", policies.join("link.toml")).expect("linked");
            make(root.path(), &["add", "-A"]);
            make(root.path(), &["commit", "--quiet", "-m", "two"]);
            assert!(read_revision(&policies, "HEAD").expect_err("a link").title.contains("no plain file"));
            assert!(read_revision(&policies, "HEAD~1").is_ok());
            std::fs::remove_file(policies.join("link.toml")).expect("removed");
            std::os::unix::fs::symlink("../elsewhere", policies.join("teams")).expect("linked");
            make(root.path(), &["add", "-A"]);
            make(root.path(), &["commit", "--quiet", "-m", "three"]);
            assert!(read_revision(&policies, "HEAD").expect_err("a linked folder").title.contains("teams is no plain file"));
        }
    }

    #[test]
    fn finds_where_two_branches_parted() {
        if Command::new("git").arg("--version").output().is_err() {
            return;
        }
        let root = tempfile::tempdir().expect("a folder");
        let write = |text: &str, message: &str| {
            std::fs::write(root.path().join("a.toml"), text).expect("written");
            make(root.path(), &["add", "-A"]);
            make(root.path(), &["commit", "--quiet", "-m", message]);
        };
        make(root.path(), &["init", "--quiet", "--initial-branch", "main"]);
        write("# base", "one");
        make(root.path(), &["checkout", "--quiet", "-b", "topic"]);
        write("# topic", "two");
        make(root.path(), &["checkout", "--quiet", "main"]);
        write("# main", "three");
        let base = merge_base(root.path(), "main", "topic").expect("parted");
        assert_eq!(read_revision(root.path(), &base).expect("read")[0].text, "# base");
        assert_eq!(merge_base(root.path(), "topic", "main").expect("parted"), base);
        make(root.path(), &["checkout", "--quiet", "--orphan", "apart"]);
        write("# apart", "four");
        assert!(merge_base(root.path(), "main", "apart").expect_err("strangers").title.contains("no commit in common"));
        assert!(merge_base(root.path(), "main", "--all").expect_err("no revision").title.contains("neither"));
    }
}

//! Starts the real binary in surroundings that hold nothing but what a test puts there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::broker::{Broker, TOKEN};

/// A job: an address, a token file, a place for the session.
pub(crate) struct Job {
    pub(crate) folder: TempDir,
    pub(crate) address: String,
}

impl Job {
    pub(crate) fn at(broker: &Broker) -> Self {
        Self::at_address(&broker.address)
    }

    pub(crate) fn at_address(address: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("written");
        Self { folder, address: address.to_owned() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `daypass` with these words; without a token unless the test gives one.
    pub(crate) fn bare(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("DAYPASS_ADDR", &self.address)
            .env("DAYPASS_OPERATOR_ADDR", &self.address)
            .stdin(Stdio::null());
        command
    }

    /// `daypass` with these words and the job's token.
    pub(crate) fn daypass(&self, words: &[&str]) -> Command {
        let mut command = self.bare(words);
        command.env("DAYPASS_TOKEN_FILE", self.path("token"));
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.daypass(words))
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("started"))
    }

    /// The standard output of a run that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub(crate) fn is_empty(folder: &Path) -> bool {
    folder.read_dir().expect("a folder").next().is_none()
}

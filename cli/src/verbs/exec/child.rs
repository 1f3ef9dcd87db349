//! The command itself: its environment, its streams, its end.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;

use super::signals::Signals;
use crate::ambient::TOKEN_VARIABLES;
use crate::deliver::env::refuse_nul;
use crate::deliver::mask::{Masker, Patterns};
use crate::deliver::naming::{SETTINGS, Variable};
use crate::failure::{Failure, Result};
use crate::surroundings::Environment;

/// How long to read on when the command has ended but something it started still holds its output.
const REST_OF_OUTPUT: Duration = Duration::from_secs(2);
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

pub(crate) struct Child {
    name: String,
    command: Command,
}

impl Child {
    pub(crate) fn new(words: &[OsString]) -> Self {
        let (program, arguments) =
            words.split_first().map_or((OsString::new(), &[][..]), |(program, rest)| (program.clone(), rest));
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(arguments);
        Self { name, command }
    }

    /// Takes the means to get more tokens out of the command's environment, and credentials of an outer `exec`.
    pub(crate) fn without_tokens(&mut self, env: &Environment, token_env: Option<&str>) {
        for name in TOKEN_VARIABLES.into_iter().chain(token_env) {
            self.command.env_remove(name);
        }
        let inherited = env.names().filter(|name| name.starts_with("DAYPASS_") && !is_setting(name));
        for name in inherited {
            self.command.env_remove(name);
        }
        self.command.env_remove("DAYPASS_TOKEN_FILE");
        self.command.env_remove("DAYPASS_SESSION_FILE");
    }

    pub(crate) fn with(&mut self, variables: &[Variable]) -> Result<()> {
        for variable in variables {
            refuse_nul(variable)?;
            self.command.env(&variable.name, variable.value.expose());
        }
        Ok(())
    }

    /// Runs to the end and returns the exit code to pass on.
    pub(crate) async fn run(mut self, hide: Option<Arc<Patterns>>, signals: &mut Signals) -> Result<u8> {
        if hide.is_some() {
            self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                let failure = Failure::local(format!("the command {} cannot be started", self.name)).because(&error);
                return Err(failure.with_exit_code(if missing { NOT_FOUND } else { NOT_STARTED }));
            }
        };
        let pumps = hide.map(|patterns| {
            let stdout =
                child.stdout.take().map(|from| tokio::spawn(pump(from, tokio::io::stdout(), Masker::new(Arc::clone(&patterns)))));
            let stderr = child.stderr.take().map(|from| tokio::spawn(pump(from, tokio::io::stderr(), Masker::new(patterns))));
            (stdout, stderr)
        });
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                signal = signals.next() => pass_on(pid, signal),
            }
        };
        if let Some((stdout, stderr)) = pumps {
            let rest = async {
                for pump in [stdout, stderr].into_iter().flatten() {
                    let _ = pump.await;
                }
            };
            let _ = tokio::time::timeout(REST_OF_OUTPUT, rest).await;
        }
        let status = status.map_err(|error| Failure::local(format!("the end of {} is not known", self.name)).because(&error))?;
        Ok(exit_code(status))
    }
}

fn is_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}

fn pass_on(pid: Option<Pid>, signal: Signal) {
    // Ctrl-C and Ctrl-\ on a terminal reach the command without us; it must not see them twice.
    let from_terminal = matches!(signal, Signal::INT | Signal::QUIT) && std::io::stdin().is_terminal();
    if let Some(pid) = pid
        && !from_terminal
    {
        // It may have ended in this moment.
        let _ = kill_process(pid, signal);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Copies one stream, hiding secrets. When nobody reads any more, it reads on without writing: the command must not block.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut masker: Masker) {
    let mut buffer = zeroize::Zeroizing::new(vec![0; 16 << 10]);
    let mut shown = Vec::new();
    let mut listened_to = true;
    loop {
        let ended = match from.read(buffer.as_mut_slice()).await {
            Ok(0) | Err(_) => true,
            Ok(length) => {
                masker.push(buffer.get(..length).unwrap_or_default(), &mut shown);
                false
            }
        };
        if ended {
            masker.finish(&mut shown);
        }
        if listened_to && !shown.is_empty() {
            listened_to = to.write_all(&shown).await.is_ok() && to.flush().await.is_ok();
        }
        shown.clear();
        if ended {
            return;
        }
    }
}

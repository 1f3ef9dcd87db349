//! The command itself: its environment, its streams, its end.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zeroize::Zeroizing;

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

/// How long to wait for more when the command has ended but something it started still holds its output.
const REST_OF_OUTPUT: Duration = Duration::from_secs(2);
/// What a pipe can hold at most; after that time no more than this is read.
const PIPE: usize = 1 << 20;
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

    pub(crate) fn without(&mut self, names: &[String]) {
        for name in names {
            self.command.env_remove(name);
        }
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
                let missing = match error.kind() {
                    ErrorKind::NotFound => true,
                    // A folder of the search path that this user may not enter says so too, whatever is in it.
                    ErrorKind::PermissionDenied => !is_in_sight(self.command.as_std().get_program()),
                    _ => false,
                };
                let failure = Failure::local(format!("the command {} cannot be started", self.name)).because(&error);
                return Err(failure.with_exit_code(if missing { NOT_FOUND } else { NOT_STARTED }));
            }
        };
        let (tell_end, end) = watch::channel(None);
        let pumps: Vec<JoinHandle<()>> = match hide {
            Some(patterns) => {
                let masker = || Masker::new(Arc::clone(&patterns));
                let stdout = child.stdout.take().map(|from| tokio::spawn(pump(from, tokio::io::stdout(), masker(), end.clone())));
                let stderr = child.stderr.take().map(|from| tokio::spawn(pump(from, tokio::io::stderr(), masker(), end.clone())));
                stdout.into_iter().chain(stderr).collect()
            }
            None => Vec::new(),
        };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                signal = signals.next() => pass_on(pid, signal),
            }
        };
        tell_end.send_replace(Some(Instant::now() + REST_OF_OUTPUT));
        for pump in pumps {
            tokio::select! {
                _ = pump => {}
                // Whoever reads our output does not, and somebody has lost patience.
                _ = signals.next() => break,
            }
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
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut masker: Masker,
    mut end: watch::Receiver<Option<Instant>>,
) {
    let mut buffer = Zeroizing::new(vec![0; 16 << 10]);
    let mut shown = Vec::new();
    let mut listened_to = true;
    let mut after_end = 0;
    loop {
        // What is there is read before the time is looked at, so a slow reader of ours loses nothing.
        let length = tokio::select! {
            biased;
            read = from.read(buffer.as_mut_slice()), if after_end < PIPE => read.unwrap_or(0),
            () = time_is_up(&mut end) => 0,
        };
        if end.borrow().is_some_and(|until| until < Instant::now()) {
            after_end += length;
        }
        if length == 0 {
            masker.finish(&mut shown);
        } else {
            masker.push(buffer.get(..length).unwrap_or_default(), &mut shown);
        }
        if listened_to && !shown.is_empty() {
            listened_to = to.write_all(&shown).await.is_ok() && to.flush().await.is_ok();
        }
        shown.clear();
        if length == 0 {
            return;
        }
    }
}

/// Some time after the end of the command.
async fn time_is_up(end: &mut watch::Receiver<Option<Instant>>) {
    let until = match end.wait_for(Option::is_some).await {
        Ok(until) => *until,
        Err(_) => None,
    };
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

/// Whether a command is given by its path, or found where commands are looked for.
fn is_in_sight(program: &OsStr) -> bool {
    let by_path = Path::new(program).components().count() != 1 || Path::new(program).is_absolute();
    let search = std::env::var_os("PATH").unwrap_or_default();
    by_path || std::env::split_paths(&search).any(|folder| folder.join(program).exists())
}

#[cfg(test)]
mod tests {
    use domain::secret::Secret;

    use super::*;

    #[test]
    fn looks_for_a_command_where_commands_are_looked_for() {
        for (program, seen) in [("sh", true), ("no-such-program-anywhere", false), ("./no-such-program", true), ("/", true)] {
            assert_eq!(is_in_sight(OsStr::new(program)), seen, "{program}");
        }
    }

    #[tokio::test]
    async fn a_slow_reader_loses_nothing_of_what_was_written_before_the_end() {
        let text = "0123456789abcdef\n".repeat(20_000);
        let (mut command, from) = tokio::io::duplex(text.len());
        command.write_all(text.as_bytes()).await.expect("written");
        let (to, mut reader) = tokio::io::duplex(64);
        // Something that the command started still holds its output, and the time for that is over.
        let (_tell_end, end) = watch::channel(Some(Instant::now()));
        let secret = Secret::from("not in there");
        let pump = tokio::spawn(pump(from, to, Masker::new(Patterns::new(std::iter::once(&secret))), end));
        let mut shown = String::new();
        tokio::time::timeout(Duration::from_mins(1), reader.read_to_string(&mut shown)).await.expect("an end").expect("read");
        pump.await.expect("ended");
        assert!(shown == text, "{} of {}", shown.len(), text.len());
        drop(command);
    }
}

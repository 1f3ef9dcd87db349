//! What a GitHub runner reads: `::add-mask::` commands and the file named by `GITHUB_ENV`.
//!
//! Commands go to standard error. The runner reads both streams, but standard output may be captured by a shell
//! (`$(daypass read …)`), which would keep the mask from the runner and spoil the value.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::deliver::env::refuse_nul;
use crate::deliver::mask;
use crate::deliver::naming::Variable;
use crate::failure::{Failure, Result};

/// Has the runner hide a value, its lines and its common encodings in the job's log from now on.
pub(crate) fn add_mask(value: &str) {
    let mut commands = Zeroizing::new(String::new());
    for form in mask::log_forms(value) {
        commands.push_str("::add-mask::");
        commands.push_str(&escape(&form));
        commands.push('\n');
    }
    // If standard error is closed there is no log to hide anything in.
    let _ = std::io::stderr().write_all(commands.as_bytes());
}

/// Gives variables to the later steps of the job.
pub(crate) fn append_env(path: &Path, variables: &[Variable]) -> Result<()> {
    let mut text = Zeroizing::new(String::new());
    for variable in variables {
        refuse_nul(variable)?;
        text.push_str(&entry(&variable.name, variable.value.expose(), &format!("daypass_{}", uuid::Uuid::new_v4().simple())));
    }
    let mut append = || {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        if !ends_a_line(&mut file)? {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())
    };
    append().map_err(|error| unwritable(path, &error))
}

/// Whether what is appended begins a line of its own. Another program may have left the last line open.
fn ends_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

/// The delimiter is random: a value that could guess it would set variables of its own choice.
fn entry(name: &str, value: &str, delimiter: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format!("the file {} of GITHUB_ENV cannot be written", path.display())).because(error)
}

/// A command is one line; the runner undoes these.
pub(crate) fn escape(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A"))
}

#[cfg(test)]
mod tests {
    use domain::secret::Secret;

    use super::*;

    #[test]
    fn a_mask_stays_one_line() {
        assert_eq!(escape("50%\r\nx").as_str(), "50%25%0D%0Ax");
    }

    #[test]
    fn appends_values_of_several_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("env");
        std::fs::write(&path, "BEFORE=1\n").expect("written");
        append_env(&path, &[Variable { name: "KEY".to_owned(), value: Secret::from("a\nEVIL=1") }]).expect("appended");
        let text = std::fs::read_to_string(&path).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        let delimiter = lines[1].strip_prefix("KEY<<").expect("a delimiter");
        assert_eq!(lines, ["BEFORE=1", lines[1], "a", "EVIL=1", delimiter]);
        assert!(delimiter.len() > 32);
    }

    #[test]
    fn an_open_last_line_is_ended_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("env");
        std::fs::write(&path, "BEFORE=1").expect("written");
        append_env(&path, &[Variable { name: "KEY".to_owned(), value: Secret::from("a") }]).expect("appended");
        assert!(std::fs::read_to_string(&path).expect("read").starts_with("BEFORE=1\nKEY<<"));
    }

    #[test]
    fn does_not_make_the_file_up() {
        assert!(append_env(Path::new("/nowhere/env"), &[]).is_err());
    }
}

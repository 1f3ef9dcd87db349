//! The root key in a file that only the broker's user may read.

use std::fs;
use std::path::Path;

use super::seal::{Answer, Root, Seal, SealError, Wrapped};
use crate::crypto::aead::Key256;
use crate::system::System;

/// A root key read from a file once, at start.
#[derive(Debug)]
pub struct File {
    path: String,
    root: Root,
}

impl File {
    /// Reads the key. Refuses a file that its group or others may read.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let shown = path.display().to_string();
        let unreadable = |source| SealError::Unreadable { path: shown.clone(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(SealError::Exposed { path: shown, mode });
            }
        }
        let text = fs::read(path).map_err(unreadable)?;
        let root = Root::read(text).ok_or_else(|| SealError::NotAKey(shown.clone()))?;
        Ok(Self { path: shown, root })
    }
}

impl Seal for File {
    fn describe(&self) -> String {
        format!("the root key in {}", self.path)
    }

    fn wrap<'a>(&'a self, system: &'a System, whose: Wrapped, key: &'a Key256) -> Answer<'a, Vec<u8>> {
        Box::pin(async move { self.root.wrap(system, whose, key) })
    }

    fn unwrap<'a>(&'a self, whose: Wrapped, wrapped: &'a [u8]) -> Answer<'a, Key256> {
        Box::pin(async move { self.root.unwrap(whose, wrapped).ok_or_else(|| SealError::WrongKey { seal: self.describe() }) })
    }
}

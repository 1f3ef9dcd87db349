//! `[hook.NAME]`: the webhook of an issuer's CI system.

use std::path::PathBuf;

use serde::Deserialize;

/// The secrets of one hook. Its name is that of the issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub secret_file: PathBuf,
    /// The one before, which counts as well: the CI system and this file are never changed at the same moment.
    pub former_secret_file: Option<PathBuf>,
}

impl Hook {
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.secret_file].into_iter().chain(&self.former_secret_file)
    }

    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.secret_file].into_iter().chain(&mut self.former_secret_file)
    }
}

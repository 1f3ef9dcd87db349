//! A set that a verb works on: loaded, or the first of what stands against it.

use std::path::Path;

use domain::policy::{PolicySet, SourceFile};

use crate::failure::{Failure, Result};
use crate::policy::read_folder;
use crate::render::count;

/// The set in a folder.
pub(super) fn folder(folder: &Path) -> Result<PolicySet> {
    loaded(read_folder(folder)?, &folder.display().to_string())
}

/// The set that the files make.
pub(super) fn loaded(files: Vec<SourceFile>, whose: &str) -> Result<PolicySet> {
    PolicySet::load(files).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("the set {whose} has {}; the first: {first}", count(problems.len(), "problem")))
            .fix("see them all with `daypass policy check`")
    })
}

//! A set that a verb works on: loaded, or the first of what stands against it.

use std::path::Path;

use domain::policy::{PolicySet, SourceFile};

use super::tokens::quoted;
use crate::failure::{Failure, Result};
use crate::policy::read_folder;
use crate::render::count;

/// The set in a folder.
pub(super) fn folder(folder: &Path) -> Result<PolicySet> {
    let name = folder.display().to_string();
    loaded(read_folder(folder)?, &name)
        .map_err(|failure| failure.fix(format!("see them all with `daypass policy check {}`", quoted(&name))))
}

/// The set that the files make.
pub(super) fn loaded(files: Vec<SourceFile>, whose: &str) -> Result<PolicySet> {
    PolicySet::load(files).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("the set {whose} has {}; the first: {first}", count(problems.len(), "problem")))
            .fix("see them all with `daypass policy check FOLDER`, of a git revision in a checkout of it")
    })
}

//! A set that a verb works on: read from a folder, or the first of what stands against it.

use std::path::Path;

use domain::policy::PolicySet;

use crate::failure::{Failure, Result};
use crate::policy::read_folder;
use crate::render::count;

pub(super) fn loaded(folder: &Path) -> Result<PolicySet> {
    PolicySet::load(read_folder(folder)?).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("the set has {}; the first: {first}", count(problems.len(), "problem")))
            .fix("see them all with `daypass policy check`")
    })
}
